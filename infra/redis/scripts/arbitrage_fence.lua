-- Shut lower epochs of a set out (arbitrage_books.lua). More ARGV: set, epoch.
local set, epoch = ARGV[2], tonumber(ARGV[3])
if fence_of(set) > epoch then
    return 0
end
raise_fence(set, epoch, 0)
return 1
