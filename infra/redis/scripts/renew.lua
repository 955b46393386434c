-- Extend a lease the caller still holds. KEYS: lease, leases. ARGV: path, epoch, owner, ttl_ms.
if redis.call('GET', KEYS[1]) ~= ARGV[2] .. ' ' .. ARGV[3] then
    return 0
end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], now_ms + ARGV[4], ARGV[1])
return 1
