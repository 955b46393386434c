-- Take kills off a scope of the board. KEYS: kills, kills named at the scope, kills lifted there.
-- ARGV: channel, scope, seconds to remember what was lifted, then at_ms of each kill to lift. The
-- scope stands as long as a kill is named at it. Answers how many were there.
local there = 0
for i = 4, #ARGV do
    there = there + redis.call('SREM', KEYS[2], ARGV[i])
    redis.call('SADD', KEYS[3], ARGV[i])
end
redis.call('EXPIRE', KEYS[3], ARGV[3])
if redis.call('SCARD', KEYS[2]) == 0 then
    there = there + redis.call('HDEL', KEYS[1], ARGV[2])
end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return there
