-- Leases that ran out unreleased. KEYS: holders, leases. ARGV: grace_ms.
-- Answers path, holder and time of expiry, three by three, longest expired first.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local late = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now_ms - ARGV[1], 'WITHSCORES')
local found = {}
for i = 1, #late, 2 do
    found[#found + 1] = late[i]
    found[#found + 1] = redis.call('HGET', KEYS[1], late[i]) or ''
    found[#found + 1] = late[i + 1]
end
return found
