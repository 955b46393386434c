-- Draw from a rate bucket (rate_bucket.lua). KEYS: bucket, pause, beginning. ARGV: capacity,
-- reserved, window_ms, part_ms, settle_ms, cancels, orders, spent, used, generation, then stamp and
-- count of tokens given back, two by two.
-- Answers cancels, orders, their waits, the pause (ms), stamp, and generation.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local told_law = table.concat(ARGV, ' ', 1, 5)
local law = bucket_law(told_law)
local cancels_wanted, orders_wanted = tonumber(ARGV[6]), tonumber(ARGV[7])
local spent, before = tonumber(ARGV[8]), tonumber(ARGV[9])

local born = bucket_born(KEYS[3], time)
local age = now - math.floor(born / 1000)
redis.call('HSET', KEYS[3], 'law', told_law)

if tonumber(ARGV[10]) ~= born then
    -- What is given back was drawn from a bucket that is no more, and is missing in `used`.
    spent = math.max(spent, before)
    redis.call('HINCRBY', KEYS[3], 'told', string.format('%.0f', spent))
else
    for i = 11, #ARGV, 2 do
        local out = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0')
        if out > 0 then
            redis.call('HSET', KEYS[1], ARGV[i], math.max(0, out - ARGV[i + 1]))
        end
    end
end

local used, parts = bucket_used(KEYS[1], law, now)
local presumed = bucket_presumed(KEYS[3], law, age)
local paused, closed = bucket_closed(KEYS[2], law, age)
used = used + spent
local cancels = math.min(cancels_wanted, math.max(0, law.capacity - used))
used = used + cancels
local orders = math.min(orders_wanted, math.max(0, law.capacity - law.reserved - presumed - used))
if closed > 0 then
    orders = 0
end
used = used + orders

local drawn = spent + cancels + orders
local stamp = bucket_count(KEYS[1], law, now, drawn)
if drawn > 0 then
    parts[#parts + 1] = { stamp + law.part + law.window, drawn }
end

table.sort(parts, function(a, b) return a[1] < b[1] end)
local function wait(keep)
    local missing = used + 1 + keep - law.capacity
    if missing <= 0 then
        return 0
    end
    for _, one in ipairs(parts) do
        missing = missing - one[2]
        if missing <= 0 then
            return math.max(1, one[1] - now)
        end
    end
    return law.window
end

local cancels_wait, orders_wait = 0, 0
if cancels < cancels_wanted then
    cancels_wait = math.max(1, wait(0))
end
if orders < orders_wanted then
    local presumption = math.min(wait(law.reserved + presumed), math.max(0, law.window - age))
    orders_wait = math.max(1, closed, wait(law.reserved), presumption)
end
return { cancels, orders, cancels_wait, orders_wait, paused, stamp, born }
