-- One guardian takes care of an expired lease. KEYS: lease, holders, claim.
-- ARGV: path, holder ("epoch owner"), claimer, ttl_ms. No, when it was renewed, taken or settled.
if redis.call('EXISTS', KEYS[1]) == 1 or redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then
    return 0
end
local claimer = redis.call('GET', KEYS[3])
if claimer and claimer ~= ARGV[3] then
    return 0
end
redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[4])
return 1
