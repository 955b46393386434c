-- Give a trade up (arbitrage_books.lua). More ARGV: set, epoch, number. No, when it held nothing.
-- A claim of it that is still on its way finds the fence.
local set, epoch, number = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local key = trade_key(set, ARGV[3], ARGV[4])
sweep()
raise_fence(set, epoch, number)
local held = drop(key, set)
give_up(key)
return held and 1 or 0
