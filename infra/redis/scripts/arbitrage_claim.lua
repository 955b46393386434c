-- Take sizes, capital and requests of one trade, or nothing (arbitrage_books.lua, rate_bucket.lua).
-- More KEYS: kills, kill board armed. More ARGV: set, epoch, number, ttl_ms, settle_ms, text, prefix
-- of rate buckets, and JSON of kill scopes and of (bucket, count) of the requests.
-- Answers 'granted' and bucket, count, stamp, generation of each, or why not with what was short.
local set, epoch, number = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local ttl_ms, settle_ms, text, rate = ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8]
local wanted, body = cjson.decode(ARGV[9]), cjson.decode(text)
local key = trade_key(set, ARGV[3], ARGV[4])
sweep()

local function newest_holders(field)
    local found = {}
    for _, other in ipairs(redis.call('ZRANGE', DEADLINES, 0, -1)) do
        for _, size in ipairs(body_of(redis.call('HGET', OPEN, other)).sizes) do
            if size[1] == field then
                found[#found + 1] = other
                break
            end
        end
    end
    return found
end

local function refusal_of_state()
    local seen_epoch, seen_number = fence_of(set)
    raise_fence(set, epoch, 0)
    local since = armed_since()
    if not since then
        return { 'unarmed' }
    end
    if since + settle_ms > now_ms then
        return { 'settling', since + settle_ms - now_ms }
    end
    if epoch < seen_epoch or (epoch == seen_epoch and number <= seen_number) then
        return { 'fenced', seen_epoch, seen_number }
    end
    if redis.call('EXISTS', KEYS[12]) == 0 then
        return { 'board' }
    end
    for i, kill in ipairs(redis.call('HMGET', KEYS[11], unpack(wanted.scopes))) do
        if kill then
            return { 'killed', wanted.scopes[i], kill }
        end
    end
    local open = redis.call('HGET', OPEN, set)
    if open then
        return { 'open', open, body_of(open).owner }
    end
    return nil
end

local function refusal_of_size()
    local mine = {}
    for i, size in ipairs(body.sizes) do
        local field, lots, shown = size[1], size[2], size[3]
        local claimed = tonumber(redis.call('HGET', SIZES, field) or '0')
        mine[field] = (mine[field] or 0) + lots
        if claimed + mine[field] > shown then
            return { 'size', i, whole(claimed), whole(mine[field] - lots), newest_holders(field) }
        end
    end
    return nil
end

local function refusal_of_capital()
    local asked = {}
    for _, held in ipairs(body.capital) do
        for _, scope in ipairs({ 'account:' .. held[1], 'fleet', 'set:' .. set }) do
            local field = scope .. ' ' .. held[2]
            local taken = redis.call('HGET', CAPITAL, field)
            local who = HOLDERS .. field
            if scope == 'set:' .. set then
                taken = redis.call('ZSCORE', HOLDERS .. 'fleet ' .. held[2], set)
            end
            taken = tonumber(taken or '0')
            asked[field] = (asked[field] or 0) + held[3]
            local cap = redis.call('HGET', CAPS, field)
            if not cap or taken + asked[field] > tonumber(cap) then
                local most = redis.call('ZREVRANGE', who, 0, 2)
                return { 'capital', field, whole(asked[field]), whole(taken), cap or '', most }
            end
        end
    end
    return nil
end

-- What each bucket has to give, by its own law, as to any who draws; nothing is drawn yet.
local function look_at_requests()
    local drawn = {}
    for i, request in ipairs(wanted.requests) do
        local bucket, count = request[1], request[2]
        local kept, beginning = rate .. ':' .. bucket, rate .. '-began:' .. bucket
        local told = redis.call('HGET', beginning, 'law')
        if not told then
            return nil, { 'unknown_requests', bucket }
        end
        local law, born = bucket_law(told), bucket_born(beginning, time)
        local age = now_ms - math.floor(born / 1000)
        local _, closed = bucket_closed(rate .. '-paused:' .. bucket, law, age)
        local room = law.capacity - law.reserved - bucket_presumed(beginning, law, age)
            - bucket_used(kept, law, now_ms)
        if closed > 0 or room < count then
            return nil, { 'requests', bucket, count, math.max(0, room), closed }
        end
        drawn[i] = { bucket = bucket, kept = kept, law = law, count = count, born = born }
    end
    return drawn, nil
end

local refused = refusal_of_state() or refusal_of_size() or refusal_of_capital()
if refused then
    return refused
end
local drawn, short = look_at_requests()
if short then
    return short
end

local answer = { 'granted' }
for _, one in ipairs(drawn) do
    local stamp = bucket_count(one.kept, one.law, now_ms, one.count)
    for _, said in ipairs({ one.bucket, one.count, stamp, one.born }) do
        answer[#answer + 1] = said
    end
end
raise_fence(set, epoch, number)
redis.call('HSET', OPEN, set, key)
redis.call('ZADD', DEADLINES, now_ms + ttl_ms, set)
add_sizes(body, 1)
hold(key, set, text)
return answer
