-- Counts a message of a client, unless it is beyond a limit.
-- KEYS: messages of the second, messages of the hour, bytes of the day.
-- ARGV: the limit of each; the message's bytes; the length of each window in milliseconds.
-- Returns which limit (0: none, 1, 2, 3), bytes of the day with the message's, and in how many
-- milliseconds that window ends.
local function count(key)
    return tonumber(redis.call('GET', key) or '0')
end

local function ends(key)
    return math.max(redis.call('PTTL', key), 0)
end

local function add(key, amount, window)
    redis.call('INCRBY', key, amount)
    if redis.call('PTTL', key) < 0 then
        redis.call('PEXPIRE', key, window)
    end
end

if count(KEYS[1]) >= tonumber(ARGV[1]) then
    return {1, 0, ends(KEYS[1])}
end
if count(KEYS[2]) >= tonumber(ARGV[2]) then
    return {2, 0, ends(KEYS[2])}
end
local used = count(KEYS[3]) + tonumber(ARGV[4])
if used > tonumber(ARGV[3]) then
    return {3, used, ends(KEYS[3])}
end
add(KEYS[1], 1, ARGV[5])
add(KEYS[2], 1, ARGV[6])
add(KEYS[3], ARGV[4], ARGV[7])
return {0, used, 0}
