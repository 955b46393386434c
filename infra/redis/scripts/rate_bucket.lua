-- A rate bucket, put before the scripts that draw from one. It counts draws by the part of time
-- they fell in; a part counts until a whole window after its end. The beginning says since when the
-- bucket knows (microseconds, its generation), what it was told of the time before, and the law it
-- was last drawn by: capacity, reserved, window_ms, part_ms, settle_ms.
local function bucket_law(told)
    local capacity, reserved, window, part, settle =
        string.match(told, '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
    return {
        capacity = tonumber(capacity), reserved = tonumber(reserved), window = tonumber(window),
        part = tonumber(part), settle = tonumber(settle),
    }
end

-- When the bucket began to know; it begins now when it was emptied, or its clock was set back.
local function bucket_born(beginning, time)
    local born = tonumber(redis.call('HGET', beginning, 'at') or '0')
    if born == 0 or born / 1000 > time[1] * 1000 + math.floor(time[2] / 1000) + 1 then
        born = time[1] * 1000000 + time[2]
        redis.call('DEL', beginning)
        redis.call('HSET', beginning, 'at', string.format('%.0f', born))
    end
    return born
end

-- What counts now, and when which of it comes back; what came back already is dropped.
local function bucket_used(bucket, law, now)
    local used, parts = 0, {}
    local kept = redis.call('HGETALL', bucket)
    for i = 1, #kept, 2 do
        local back, count = kept[i] + law.part + law.window, tonumber(kept[i + 1])
        if back <= now or count == 0 then
            redis.call('HDEL', bucket, kept[i])
        else
            used = used + count
            parts[#parts + 1] = { back, count }
        end
    end
    return used, parts
end

-- Some who used tokens before may be silent for good: at least half is taken for used.
local function bucket_presumed(beginning, law, age)
    if law.settle > 0 and age < law.window then
        local told = tonumber(redis.call('HGET', beginning, 'told') or '0')
        return math.max(0, math.floor((law.capacity - law.reserved) / 2) - told)
    end
    return 0
end

-- How long orders are paused, and how long they get nothing for that or because it just began.
local function bucket_closed(pause, law, age)
    local paused = math.max(0, redis.call('PTTL', pause))
    return paused, math.max(paused, law.settle - age)
end

local function bucket_count(bucket, law, now, drawn)
    local stamp = now - now % law.part
    if drawn > 0 then
        redis.call('HINCRBY', bucket, string.format('%.0f', stamp), drawn)
        redis.call('PEXPIRE', bucket, law.window + 2 * law.part)
    end
    return stamp
end
