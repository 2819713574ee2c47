-- Claims a message id for who asks first. The same claim may be made again: its answer did not
-- arrive.
-- KEYS: the claim. ARGV: the claim's name; for how many milliseconds. Returns 1 if it is theirs now.
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
