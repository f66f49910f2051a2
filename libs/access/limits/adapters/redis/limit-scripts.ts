/** The prefix of all keys. Its hash tag puts them into one slot of a cluster, where one script may touch them all. */
export const redisPrefix = 'sluice:{limits}:';

/** Milliseconds since 1970 by the server's own clock: that of no API process counts. */
export const redisTimeLua = `
local t = redis.call('TIME')
local wall = t[1] * 1000 + t[2] / 1000
`;

// Each subject has a hash: "last" is the time it was last seen at, "off" how far its time is ahead of a clock that stepped
// back. Its time never goes back; small steps are made up for at half speed. See utc-days.ts, which does the same.
const steadyLua = `
local function steady(key)
  local h = redis.call('HMGET', key, 'last', 'off')
  local last, off = tonumber(h[1]) or 0, tonumber(h[2]) or 0
  local now = wall + off
  if now < last then
    off = last - wall
    now = last
  elseif off > 0 and off <= 3600000 then
    local back = math.min(off, (now - last) / 2)
    off = off - back
    now = now - back
  end
  return now, off
end
local function text(number) return string.format('%.3f', number) end
`;

const dayMs = 86_400_000;
const keepMs = 2 * dayMs;

/**
 * Checks all limits of a set and takes all of them or none. KEYS: hash, slots of requests and slots of streams of each
 * subject in turn. ARGV: requests, streams, tokens, lease, its length in ms, then subject, kind, unit, field, capacity and
 * interval of each limit. Answers: refusing limit or -1, wait in ms (-1: never), day, ms to the next day, what is left.
 */
export const admitScript = (timeLua: string): string => `
${timeLua}
${steadyLua}
local costs = { requests = tonumber(ARGV[1]), streams = tonumber(ARGV[2]), tokens = tonumber(ARGV[3]) }
local lease, leaseMs = ARGV[4], tonumber(ARGV[5])
local subjects, offs = {}, {}
for i = 1, #KEYS / 3 do subjects[i], offs[i] = steady(KEYS[3 * i - 2]) end
local limits, refused, wait = {}, -1, 0
for at = 6, #ARGV, 6 do
  local subject, kind, unit, field = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local capacity, interval = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  local limit = { subject = subject, kind = kind, unit = unit, field = field, capacity = capacity, interval = interval }
  local now, cost, late = subjects[subject], costs[unit], 0
  local hash = KEYS[3 * subject - 2]
  if kind == 'rate' then
    limit.value = math.max(tonumber(redis.call('HGET', hash, field)) or 0, now)
    late = limit.value + cost * interval - now - capacity * interval
    if late <= 0.01 then late = 0 end
  elseif kind == 'day' then
    local h = redis.call('HMGET', hash, field, field .. ':day')
    limit.day = math.floor(now / ${dayMs})
    limit.value = tonumber(h[2]) == limit.day and tonumber(h[1]) or 0
    if limit.value + cost > capacity then late = math.max(1, (limit.day + 1) * ${dayMs} - now) end
  else
    limit.slots = KEYS[3 * subject - (unit == 'requests' and 1 or 0)]
    redis.call('ZREMRANGEBYSCORE', limit.slots, '-inf', text(now))
    limit.value = redis.call('ZCARD', limit.slots)
    if limit.value + cost > capacity then late = 1000 end
  end
  if cost > 0 and cost > capacity and kind ~= 'slots' then late = math.huge end
  if cost > 0 and late > wait then refused, wait = #limits, late end
  limits[#limits + 1] = limit
end
local left = {}
for i, limit in ipairs(limits) do
  local now, cost, hash = subjects[limit.subject], refused == -1 and costs[limit.unit] or 0, KEYS[3 * limit.subject - 2]
  if limit.kind == 'rate' then
    local value = limit.value + cost * limit.interval
    if cost > 0 then redis.call('HSET', hash, limit.field, text(value)) end
    left[i] = math.max(0, math.floor(limit.capacity - (value - now) / limit.interval + 0.01))
  else
    if cost > 0 and limit.kind == 'day' then
      redis.call('HSET', hash, limit.field, limit.value + cost, limit.field .. ':day', limit.day)
    elseif cost > 0 then
      redis.call('ZADD', limit.slots, text(now + leaseMs), lease)
      redis.call('PEXPIRE', limit.slots, 2 * leaseMs)
    end
    left[i] = math.max(0, limit.capacity - limit.value - cost)
  end
end
for i, now in ipairs(subjects) do
  redis.call('HSET', KEYS[3 * i - 2], 'last', text(now), 'off', text(offs[i]))
  redis.call('PEXPIRE', KEYS[3 * i - 2], ${keepMs})
end
local now = subjects[1]
local day = math.floor(now / ${dayMs})
return { refused, wait == math.huge and -1 or math.ceil(wait), day, math.ceil((day + 1) * ${dayMs} - now), unpack(left) }
`;

/** Gives back slots, and counts tokens that were used instead of reserved. ARGV: lease, more tokens, day, then limits. */
export const endScript = (timeLua: string): string => `
${timeLua}
${steadyLua}
local lease, more, day = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
for i = 1, #KEYS / 3 do redis.call('ZREM', KEYS[3 * i - 1], lease) redis.call('ZREM', KEYS[3 * i], lease) end
if more == 0 then return 0 end
for at = 4, #ARGV, 6 do
  local hash, kind, unit, field, interval = KEYS[3 * ARGV[at] - 2], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 5]
  if unit == 'tokens' and kind == 'rate' then
    local now = steady(hash)
    local value = math.max(tonumber(redis.call('HGET', hash, field)) or 0, more > 0 and now or 0)
    redis.call('HSET', hash, field, text(value + more * interval))
    redis.call('PEXPIRE', hash, ${keepMs})
  elseif unit == 'tokens' and kind == 'day' then
    local today = math.floor(steady(hash) / ${dayMs})
    local h = redis.call('HMGET', hash, field, field .. ':day')
    local used = tonumber(h[2]) == today and tonumber(h[1]) or 0
    if day == today or more > 0 then
      redis.call('HSET', hash, field, math.max(0, used + more), field .. ':day', today)
      redis.call('PEXPIRE', hash, ${keepMs})
    end
  end
end
return 0
`;

/** Keeps slots of requests that still run. ARGV: lease, its length in ms, takes a request's slot, takes a stream's. */
export const renewScript = (timeLua: string): string => `
${timeLua}
${steadyLua}
local lease, leaseMs = ARGV[1], tonumber(ARGV[2])
for i = 1, #KEYS / 3 do
  local now = steady(KEYS[3 * i - 2])
  for unit = 1, 2 do
    local slots = KEYS[3 * i - 2 + unit]
    if ARGV[2 + unit] == '1' then
      redis.call('ZADD', slots, text(now + leaseMs), lease)
      redis.call('PEXPIRE', slots, 2 * leaseMs)
    end
  end
end
return 0
`;
