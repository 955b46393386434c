-- Put the durable record's kills on the board. KEYS: kills, armed. ARGV: channel, prefix of the
-- sets of kills named at a scope, prefix of those lifted there, then scope, at_ms and text, three
-- by three. Nothing is ever taken off, and a kill lifted meanwhile is not put back.
local changed = redis.call('EXISTS', KEYS[2]) == 0
for i = 4, #ARGV, 3 do
    local scope, at_ms, text = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    if redis.call('SISMEMBER', ARGV[3] .. scope, at_ms) == 0 then
        redis.call('SADD', ARGV[2] .. scope, at_ms)
        if redis.call('HGET', KEYS[1], scope) ~= text then
            redis.call('HSET', KEYS[1], scope, text)
            changed = true
        end
    end
end
redis.call('SET', KEYS[2], '1')
if changed then
    redis.call('PUBLISH', ARGV[1], 'rearmed')
end
return 1
