"""The prose of the reference page: everything that no table of the program says."""

from __future__ import annotations

EXAMPLE = """\
schema: 1
name: home
network: regtest
zone: Europe/Berlin

lists:
  friends: ["script:5120f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9"]

limits:                          # hold for every spend, whatever a tier says
  amount: {sent: 0.5btc}
  velocity:
    - {window: 24h, sum: 1btc}   # for the wallet; each node enforces its part

deny:                            # wins against everything
  - name: not-at-night
    when: {hours: 22:00-06:00, sent_above: 100_000sat}
    unless: {pays_only: own}

tiers:                           # the first that fits decides
  - name: small
    when: {pays_only: [friends, own], sent_up_to: 0.01btc}
    then: approve
  - name: larger
    when: {pays_only: [friends, own]}
    then: {ask: {match: true}, wait: {delay: 24h, expires: 72h}}
    quorum: {roles: [home]}
    notify: true
"""
"""A whole profile; a test loads it."""

HEAD = """\
A profile is one YAML file per node.
It says which spends this node assents to, in words a person can read.
A node judges alone, from what it can prove itself, and gives every reason it has.
`configs/` holds an example of every part, and `docs/howto/` says what to write for a purpose.

"""

JUDGEMENT = """\
## How a judgement is made

There are four outcomes, and the strictest wins: **refuse**, then **wait**, then **ask**, then **approve**.

1. The rules of `baseline`, `limits` and `intents` run on every spend.
   Each can only refuse.
2. The rules under `deny` have no order.
   Each that holds refuses, and nothing overrides it.
3. The `tiers` are tried in order.
   The first that fits decides with its `limits`, its `then` and its `quorum`.
4. What fits no tier is refused, and so is everything under a profile without tiers.

A yes, whoever's, answers the question of a tier that asks, about destination and amount, for exactly that spend.
Baseline, fee, amount, velocity and deny rules run all the same.
The owner's no stands whatever the tiers say.

### What cannot be decided

Whatever fails, fails closed.

- A rule that cannot be decided refuses, and so does one whose fact has no source here.
- A deny rule that cannot be decided holds; but it freezes nothing, because that wants certainty.
- A tier that cannot be decided lets nothing pass.
  What it would demand is demanded beside what the tier after it says: a clock in doubt, or a chain that nobody
  watches, never puts a milder tier in its place.
- An `unless` that cannot be decided excuses a spend from no deny rule, and keeps it from the tier.

"""

UNITS = """\
Beyond that only `true`, `false` and texts; no floats, no `yes` or `no`, no anchors, aliases or tags.
`unlimited` is spelled out.
An unknown key does not load, and the error names the line and the nearest word.

"""

RULES = """\
A rule under `deny` refuses what all of its `when` hold for, unless all of its `unless` hold too.
A tier fits what all of its `when` hold for, unless all of its `unless` hold too.
To say *or*, write two rules.

"""

ACTIONS = """\
A word stands for its plainest form: `then: ask` is `then: {ask: owner}`.
`grant`, `ask` and `wait` may stand together in one group, and then all of them are demanded.

`ask` alone may be answered beforehand: a grant that covers the spend is the owner's yes given once for many.
It answers for the owner only, never for other people, and not where the tier says `grant: true` as well.

Whoever asks for a spend never counts among those who say yes to it, and each person counts once.
Where people are named by role, only theirs count for `distinct` too.
A no of anybody who is asked refuses the spend.
How old a yes is cannot be told while the clock is in doubt, so a `within` asks again until the clock is confirmed.

"""

PLACES = """\
### Destinations

`pays_only` and `pays_any` take one destination or a list of them:

- an address of the profile's network, or `script:HEX` for an output script;
- the name of a list under `lists:`, whose members are addresses, scripts, descriptors, `own` or lists above it;
- `{descriptor: "wpkh(xpub.../0/*)#checksum", first: 0, last: 99}`: these addresses of somebody else's wallet;
- `own`: this wallet itself, proved by deriving the script; change beside a payment does not need it;
- `anyone`: any output that has an address, and this wallet.

An output without an address, such as OP_RETURN data, fits a tier only where its script is named.
For a deny rule, `anyone` is that output too.

### Coins

`coins_only`, `coins_any` and the lists under `coins:` take `TXID:INDEX`, or `own/BRANCH/INDEX` for every coin on that
address of this wallet, or the name of a list under `coins:`.
The list `frozen` is special: no spend may use a coin in it.

"""

LATER = """\
## One file over another

A file with `extends: NAME` lies over the profile NAME, and can only tighten it.
Both judge each spend by themselves, and the stricter wins; what they demand of the quorum adds up.
It may leave out whatever the base says, tiers and limits too, and may name the base's lists and coins.
It has the base's `zone` and `evil_nodes` where it states none.
A reason of the base begins with the base's name, because its line is of the other file.

## Intents

With `intents: required`, or `intents: {from: [DEVICE, ...]}`, every spend must come with one signed intent.
An intent is made and signed by a client device before anybody asks for the spend.
It says the payments, the highest fee, one coin that the spend must use, and when it expires.
It is good for one spend: two spends under one intent share that coin, so never both confirm.

## The wallet's limit and this node's part

A limit under `velocity` is meant for the whole wallet, but each node counts only what it signed itself.
If *f* of the *n* nodes are evil, changing quorums of *t* can spend (n-f)/(t-f) times what one honest node lets pass.
So a node enforces its part, `floor(limit * (t-f) / (n-f))`: half of the limit in a 2-of-3 and in a 3-of-5.
`evil_nodes` is *f*: 1 by default where there are three nodes or more, else 0, and never more than t-1 counts,
because nobody can be defended against t evil nodes.
The part holds only if every honest node enforces a limit no higher.
`assent policy lint` looks at all of their profiles together.
A single payment above a node's part is refused however long one waits, and the reason says so.

## Windows

A `window` is a length of time that looks back (`24h`), a `day`, `week`, `month` or `year` of the calendar in the
profile's zone (or in its own `zone`), or `lifetime`.
It limits one or more of `sum`, `count`, `fees` and `recipients`.
They count for the whole wallet, or `per: recipient`, or `per: initiator`, who is the client that asks.

Windows go by the policy clock.
It never runs backwards, and never faster than the machine's monotonic clock, give or take two minutes in all.
After a jump of the wall clock or a restart it goes on from where it stood until peers' clocks agree or the owner
confirms the time.
What was signed counts once, fee included, and is never given back by a timeout.
Of spends that share a coin only the largest counts, because only one can confirm.
After a recovery every window counts as full until its length has passed.
A window that says `unlimited` is not limited on such a node either.

"""

BAD_DAYS = """\
## Bad days

Any node or person of the roster can freeze a wallet at every node (`assent freeze --everywhere`).
Each node decides by its own profile for how long that holds here: as long as was asked for, and never longer than
`freeze: {by_others_up_to: 72h}`.
Each of them can do it once in 30 days, counted at each node, and nobody can end it earlier, the node's owner included.
To let others freeze for less long is a looser policy, and waits like any other.

A spend all of whose outputs go to `rescue.to` is judged twice, as any other and by the rescue alone.
The milder counts.
By the rescue alone count the baseline, the deny rules, its own `fee`, and the yes of the owner, whom it always asks.
Budgets, amounts, other fees, tiers, grants, intents and a freeze are nothing to it.
So it works on the worst day, and on a node that was just rebuilt from its words.
Where one file lies over another the rescue goes only where both say, and never where the base says nothing of one.

"""
