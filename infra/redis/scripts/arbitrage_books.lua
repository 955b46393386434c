-- The books of arbitrage claims, put before each of their scripts. KEYS: armed, fences, open,
-- deadlines, trades, sizes, capital, caps, gone, memory. ARGV: prefix of the sorted sets that say which set
-- of legs holds how much, then what the script says. A trade's key is `EPOCH NUMBER SET`; its text is
-- JSON: owner, sizes (field, lots, shown, ...), capital (V/A, quote, millionths). Whole numbers below
-- 2^53 are exact here.
local ARMED, FENCES, OPEN, DEADLINES, TRADES = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local SIZES, CAPITAL, CAPS, GONE, HOLDERS = KEYS[6], KEYS[7], KEYS[8], KEYS[9], ARGV[1]
local MEMORY = KEYS[10]
local GONE_MS = 600000
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function whole(number)
    return string.format('%.0f', number)
end

local function trade_key(set, epoch, number)
    return epoch .. ' ' .. number .. ' ' .. set
end

local function body_of(key)
    local text = redis.call('HGET', TRADES, key)
    return text and cjson.decode(text)
end

local function add_sizes(body, sign)
    for _, size in ipairs(body.sizes) do
        if redis.call('HINCRBY', SIZES, size[1], whole(sign * size[2])) == 0 then
            redis.call('HDEL', SIZES, size[1])
        end
    end
end

local function add_capital(body, set, sign)
    for _, held in ipairs(body.capital) do
        local amount = whole(sign * held[3])
        for _, scope in ipairs({ 'account:' .. held[1], 'fleet' }) do
            local field = scope .. ' ' .. held[2]
            if redis.call('HINCRBY', CAPITAL, field, amount) == 0 then
                redis.call('HDEL', CAPITAL, field)
            end
            if tonumber(redis.call('ZINCRBY', HOLDERS .. field, amount, set)) == 0 then
                redis.call('ZREM', HOLDERS .. field, set)
            end
        end
    end
end

-- Sizes of claims that nobody kept are given up; their capital and their set are not.
local function sweep()
    for _, set in ipairs(redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', now_ms)) do
        add_sizes(body_of(redis.call('HGET', OPEN, set)), -1)
        redis.call('ZREM', DEADLINES, set)
    end
end

local function hold(key, set, text)
    redis.call('HSET', TRADES, key, text)
    add_capital(cjson.decode(text), set, 1)
end

-- Take all that a trade has away; false when it had nothing.
local function drop(key, set)
    local body = body_of(key)
    if not body then
        return false
    end
    if redis.call('HGET', OPEN, set) == key then
        redis.call('HDEL', OPEN, set)
        if redis.call('ZREM', DEADLINES, set) == 1 then
            add_sizes(body, -1)
        end
    end
    add_capital(body, set, -1)
    redis.call('HDEL', TRADES, key)
    return true
end

-- What was given up is remembered for as long as somebody may still come with an older record.
local function give_up(key)
    redis.call('ZREMRANGEBYSCORE', GONE, '-inf', now_ms - GONE_MS)
    redis.call('ZADD', GONE, now_ms, key)
    redis.call('PEXPIRE', GONE, GONE_MS)
end

local function is_gone(key)
    return redis.call('ZSCORE', GONE, key) ~= false
end

local function replace(key, set, text)
    if redis.call('HGET', TRADES, key) == text and redis.call('HGET', OPEN, set) ~= key then
        return
    end
    drop(key, set)
    if #cjson.decode(text).capital > 0 then
        hold(key, set, text)
    else
        give_up(key)
    end
end

-- The highest epoch seen of a set, and the highest number of a trade within it.
local function fence_of(set)
    local epoch, number = string.match(redis.call('HGET', FENCES, set) or '0 0', '(%d+) (%d+)')
    return tonumber(epoch), tonumber(number)
end

local function raise_fence(set, epoch, number)
    local seen_epoch, seen_number = fence_of(set)
    if epoch > seen_epoch or (epoch == seen_epoch and number > seen_number) then
        redis.call('HSET', FENCES, set, whole(epoch) .. ' ' .. whole(number))
    end
end

-- Which life of the server this is: one that started again may have lost the last second.
local function server_life()
    return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
end

-- The name of what is remembered since the server started or was emptied; nil when none was given.
local function memory()
    local name = redis.call('GET', MEMORY)
    return name and string.match(name, '^%x+') == server_life() and name or nil
end

-- Since when it is armed (ms), nil when it is not.
local function armed_since()
    local life, since = string.match(redis.call('GET', ARMED) or '', '(%x+) (%d+)')
    if life and life == server_life() then
        return tonumber(since)
    end
    return nil
end
