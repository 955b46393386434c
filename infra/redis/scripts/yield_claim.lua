-- Leave an expired lease to whoever has another way. KEYS: claim. ARGV: claimer.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
