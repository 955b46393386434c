-- The expired session's orders are gone. KEYS: lease, holders, leases. ARGV: path, holder.
-- Nothing is done when somebody holds the lease again.
if redis.call('EXISTS', KEYS[1]) == 1 or redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then
    return 0
end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return 1
