-- Name what is remembered now (arbitrage_books.lua): another name than before means that it forgot.
local name = memory()
if not name then
    name = string.format('%s %s.%06d', server_life(), time[1], time[2])
    redis.call('SET', MEMORY, name)
end
return name
