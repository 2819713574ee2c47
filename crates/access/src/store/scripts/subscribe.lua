-- Adds a topic to a client's, or changes its threshold, and tells the proxies if it is news.
-- KEYS: the client's topics. ARGV: topic; threshold; time to live in milliseconds; most topics of a
-- client; channel of news; client. Returns 0 if there are too many topics.
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then
    return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if known ~= ARGV[2] then
    redis.call('PUBLISH', ARGV[5], ARGV[6])
end
return 1
