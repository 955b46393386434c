-- Take a lease. KEYS: lease, fences, holders, released, leases. ARGV: path, epoch, owner, ttl_ms.
-- Unexpired and not the caller's own: no. Not above the highest epoch ever seen: no.
local holder = redis.call('GET', KEYS[1])
local mine = ARGV[2] .. ' ' .. ARGV[3]
if holder then
    if holder ~= mine then
        return 0
    end
elseif tonumber(ARGV[2]) <= tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '-1') then
    return 0
end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[1], mine, 'PX', ARGV[4])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[1], mine)
redis.call('HDEL', KEYS[4], ARGV[1])
redis.call('ZADD', KEYS[5], now_ms + ARGV[4], ARGV[1])
return 1
