-- Takes a topic from a client's, and tells the proxies if it was there.
-- KEYS: the client's topics. ARGV: topic; channel of news; client.
if redis.call('HDEL', KEYS[1], ARGV[1]) == 1 then
    redis.call('PUBLISH', ARGV[2], ARGV[3])
end
return 1
