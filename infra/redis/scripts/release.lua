-- Give a lease up in good order. KEYS: lease, holders, released, leases. ARGV: path, epoch, owner.
-- Told apart from expiry by the released mark; a repeated call says yes again.
local mine = ARGV[2] .. ' ' .. ARGV[3]
if redis.call('GET', KEYS[1]) ~= mine then
    if redis.call('HGET', KEYS[3], ARGV[1]) == mine then
        return 1
    end
    return 0
end
redis.call('DEL', KEYS[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], mine)
redis.call('ZREM', KEYS[4], ARGV[1])
return 1
