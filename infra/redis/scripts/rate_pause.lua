-- Pause the orders of a rate bucket. KEYS: pause. ARGV: milliseconds. A longer pause stays.
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
    redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
end
return 1
