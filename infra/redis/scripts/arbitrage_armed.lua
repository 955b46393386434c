-- Whether claims are armed (arbitrage_books.lua).
return armed_since() and 1 or 0
