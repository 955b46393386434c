-- Take over the durable record (arbitrage_books.lua). More ARGV: JSON of caps (field, millionths),
-- fences (set, epoch) and trades (set, epoch, number, whether it is under way, text), and memory.
-- Caps replace all earlier ones. A trade under way is put back where it was forgotten; of one that is
-- further, the record's word replaces ours. What was given up meanwhile stays so. No, when this is
-- not the memory that was asked for before the record was read.
local said = cjson.decode(ARGV[2])
if memory() ~= ARGV[3] then
    return 0
end
sweep()
redis.call('DEL', CAPS)
for _, cap in ipairs(said.caps) do
    redis.call('HSET', CAPS, cap[1], whole(cap[2]))
end
for _, fence in ipairs(said.fences) do
    raise_fence(fence[1], fence[2], 0)
end
for _, trade in ipairs(said.trades) do
    local set, epoch, number, under_way, text = unpack(trade)
    local key = trade_key(set, whole(epoch), whole(number))
    if not is_gone(key) then
        if not under_way then
            replace(key, set, text)
        elseif redis.call('HEXISTS', TRADES, key) == 0 then
            hold(key, set, text)
            redis.call('HSETNX', OPEN, set, key)
        end
        raise_fence(set, epoch, number)
    end
end
if not armed_since() then
    redis.call('SET', ARMED, server_life() .. ' ' .. whole(now_ms))
end
return 1
