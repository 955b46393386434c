-- Put back leases that an emptied Redis forgot, as run out. KEYS: fences, holders, leases.
-- ARGV: path, epoch, owner of each. A market that somebody holds or lost since stays as it is.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local restored = 0
for i = 1, #ARGV, 3 do
    if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0 then
        redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
        redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1] .. ' ' .. ARGV[i + 2])
        redis.call('ZADD', KEYS[3], now_ms, ARGV[i])
        restored = restored + 1
    end
end
return restored
