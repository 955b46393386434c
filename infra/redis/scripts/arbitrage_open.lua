-- Everything claimed or held (arbitrage_books.lua). Answers key, text, stage and milliseconds left,
-- four by four.
sweep()
local found = {}
local kept = redis.call('HGETALL', TRADES)
for i = 1, #kept, 2 do
    local set = string.match(kept[i], '^%d+ %d+ (.*)$')
    local stage, left = 'held', 0
    if redis.call('HGET', OPEN, set) == kept[i] then
        local deadline = redis.call('ZSCORE', DEADLINES, set)
        stage = deadline and 'alive' or 'lapsed'
        left = deadline and deadline - now_ms or 0
    end
    for _, said in ipairs({ kept[i], kept[i + 1], stage, left }) do
        found[#found + 1] = said
    end
end
return found
