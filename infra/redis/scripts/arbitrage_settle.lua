-- Hold of a trade's capital only what the text says (arbitrage_books.lua). More ARGV: set, epoch,
-- number, text. No, when it was given up before.
local set, epoch, number, text = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local key = trade_key(set, ARGV[3], ARGV[4])
sweep()
if is_gone(key) then
    return 0
end
replace(key, set, text)
raise_fence(set, epoch, number)
return 1
