-- Keep the sizes of a claim (arbitrage_books.lua). More ARGV: set, epoch, number, ttl_ms, text.
-- A trade this server forgot, and nobody gave up, holds its set and its capital again, uncounted
-- against any cap: it may have fired. Its sizes are gone.
local set, epoch, number, ttl_ms, text = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6]
local key = trade_key(set, ARGV[3], ARGV[4])
sweep()
if redis.call('HEXISTS', TRADES, key) == 0 then
    if not is_gone(key) then
        hold(key, set, text)
        redis.call('HSETNX', OPEN, set, key)
        raise_fence(set, epoch, number)
    end
    return 0
end
local alive = redis.call('HGET', OPEN, set) == key and redis.call('ZSCORE', DEADLINES, set)
if not alive or fence_of(set) > epoch then
    return 0
end
redis.call('ZADD', DEADLINES, now_ms + ttl_ms, set)
return 1
