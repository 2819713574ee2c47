-- Gives a claim up, if it is still this one. KEYS: the claim. ARGV: the claim's name.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
