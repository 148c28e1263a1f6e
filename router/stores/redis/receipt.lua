-- Receipts, so that a call that is sent again is answered as the first time; put in front of scripts by scripts.py.
--
-- KEYS[1]  BASE:meta
-- ARGV[1]  HANDLE: at random, one per open store
-- ARGV[2]  nonce of 16 bytes: the same when a call is sent again, because no answer came; then it is answered the same
--
--   BASE:receipt:HANDLE   string, 60 s: nonce and answer of the last call of a handle

local base = string.sub(KEYS[1], 1, -5)
local call = redis.call
local receipt, nonce = base .. 'receipt:' .. ARGV[1], ARGV[2]

local function answered()
  local kept = call('GET', receipt)
  return kept and string.sub(kept, 1, #nonce) == nonce and string.sub(kept, #nonce + 1)
end

local function answer(value)
  local packed = cmsgpack.pack(value)
  call('SET', receipt, nonce .. packed, 'PX', 60000)
  return packed
end
