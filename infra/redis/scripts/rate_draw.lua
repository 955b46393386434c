-- Draw from a rate bucket. KEYS: bucket, pause, beginning. ARGV: capacity, reserved, window_ms,
-- part_ms, settle_ms, cancels, orders, spent, used, generation, then stamp and count of tokens
-- given back, two by two. The bucket counts draws by the part of time they fell in; a part counts
-- until a whole window after its end. The beginning says since when the bucket knows (microseconds,
-- its generation) and what it was told of the time before.
-- Answers cancels, orders, their waits, the pause (ms), stamp, and generation.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local capacity, reserved = tonumber(ARGV[1]), tonumber(ARGV[2])
local window, part, settle = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local cancels_wanted, orders_wanted = tonumber(ARGV[6]), tonumber(ARGV[7])
local spent, before = tonumber(ARGV[8]), tonumber(ARGV[9])

local born = tonumber(redis.call('HGET', KEYS[3], 'at') or '0')
if born == 0 or born / 1000 > now + 1 then
    born = time[1] * 1000000 + time[2]
    redis.call('DEL', KEYS[3])
    redis.call('HSET', KEYS[3], 'at', string.format('%.0f', born))
end
local age = now - math.floor(born / 1000)

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

local used, parts = 0, {}
local kept = redis.call('HGETALL', KEYS[1])
for i = 1, #kept, 2 do
    local back, count = kept[i] + part + window, tonumber(kept[i + 1])
    if back <= now or count == 0 then
        redis.call('HDEL', KEYS[1], kept[i])
    else
        used = used + count
        parts[#parts + 1] = { back, count }
    end
end

-- Some who used tokens before may be silent for good: at least half is taken for used.
local presumed = 0
if settle > 0 and age < window then
    local told = tonumber(redis.call('HGET', KEYS[3], 'told') or '0')
    presumed = math.max(0, math.floor((capacity - reserved) / 2) - told)
end

local paused = math.max(0, redis.call('PTTL', KEYS[2]))
local closed = math.max(paused, settle - age)
used = used + spent
local cancels = math.min(cancels_wanted, math.max(0, capacity - used))
used = used + cancels
local orders = math.min(orders_wanted, math.max(0, capacity - reserved - presumed - used))
if closed > 0 then
    orders = 0
end
used = used + orders

local stamp = now - now % part
local drawn = spent + cancels + orders
if drawn > 0 then
    redis.call('HINCRBY', KEYS[1], string.format('%.0f', stamp), drawn)
    redis.call('PEXPIRE', KEYS[1], window + 2 * part)
    parts[#parts + 1] = { stamp + part + window, drawn }
end

table.sort(parts, function(a, b) return a[1] < b[1] end)
local function wait(keep)
    local missing = used + 1 + keep - capacity
    if missing <= 0 then
        return 0
    end
    for _, one in ipairs(parts) do
        missing = missing - one[2]
        if missing <= 0 then
            return math.max(1, one[1] - now)
        end
    end
    return window
end

local cancels_wait, orders_wait = 0, 0
if cancels < cancels_wanted then
    cancels_wait = math.max(1, wait(0))
end
if orders < orders_wanted then
    local presumption = math.min(wait(reserved + presumed), math.max(0, window - age))
    orders_wait = math.max(1, closed, wait(reserved), presumption)
end
return { cancels, orders, cancels_wait, orders_wait, paused, stamp, born }
