-- Draw from a rate bucket. KEYS: bucket, pause. ARGV: capacity, reserved, window_ms, part_ms,
-- cancels, orders, spent, then stamp and count of tokens given back, two by two.
-- The bucket counts draws by the part of time they fell in; a part counts until a whole window
-- after its end. Answers cancels, orders, their waits, the pause (ms), stamp, and known (0 or 1).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local capacity, reserved = tonumber(ARGV[1]), tonumber(ARGV[2])
local window, part = tonumber(ARGV[3]), tonumber(ARGV[4])
local cancels_wanted, orders_wanted = tonumber(ARGV[5]), tonumber(ARGV[6])
local spent = tonumber(ARGV[7])
local known = redis.call('EXISTS', KEYS[1])

for i = 8, #ARGV, 2 do
    local out = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0')
    if out > 0 then
        redis.call('HSET', KEYS[1], ARGV[i], math.max(0, out - ARGV[i + 1]))
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

local paused = math.max(0, redis.call('PTTL', KEYS[2]))
used = used + spent
local cancels = math.min(cancels_wanted, math.max(0, capacity - used))
used = used + cancels
local orders = math.min(orders_wanted, math.max(0, capacity - reserved - used))
if paused > 0 then
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
    orders_wait = math.max(1, paused, wait(reserved))
end
return { cancels, orders, cancels_wait, orders_wait, paused, stamp, known }
