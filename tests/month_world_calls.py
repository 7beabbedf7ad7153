"""What happens at the gateways of a simulated world: calls, repeats, crashes, lost machines."""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.errors import SluiceError
from gateway.journal.port import JournalConflict
from tests.month_world_auditor import CHINA, ONCE_IN, Answer, Chunk
from tests.month_world_node import Flight, Node, Question, other_content
from tests.month_world_prices import on_day
from tests.month_world_site import FREE
from tests.month_world_state import GRANTS, Broken, World, told

MOST_NODES = 9


def ask(world: World) -> None:
    """A client asks, and is answered."""
    node = world.chance.choice(world.serving())
    _ask(world, node, _question(world, node))


def burst(world: World) -> None:
    """Calls at the same time, some of them the same, at one or several gateways: they end in any
    order, and a gateway may die in the middle."""
    flights: list[tuple[Node, Flight]] = []
    asked: Question | None = None
    for _ in range(world.chance.randint(2, 5)):
        node = world.chance.choice(world.serving())
        same = asked is not None and world.chance.random() < 0.5
        asked = _priced(world, node, _again(world, asked)) if same else _question(world, node)
        flight = begin(world, node, asked)
        if flight is not None:
            flights.append((node, flight))
        world.now += timedelta(seconds=world.chance.randint(0, 5))
    world.chance.shuffle(flights)
    dies = world.chance.choice(world.serving()) if world.chance.random() < 0.4 else None
    for node, flight in flights:
        if node is not dies:
            finish(world, node, flight)
    if dies is not None:
        _die(world, dies)


def repeat(world: World) -> None:
    """A client asks again what it asked before, at any gateway."""
    if world.auditor.answers:
        before = world.chance.choice(list(world.auditor.answers.values()))
        node = world.chance.choice(world.serving())
        _ask(world, node, _question(world, node, before))


def _ask(world: World, node: Node, question: Question) -> None:
    flight = begin(world, node, question)
    if flight is not None:
        finish(world, node, flight)


def _question(world: World, node: Node, like: Answer | None = None) -> Question:
    chance, site = world.chance, world.site
    grant, tenant, profile = chance.choice(GRANTS)
    if like is not None:
        grant, tenant, profile = next(one for one in GRANTS if one[0] == like.grant)
    service = like.service if like else chance.choice(("S02", "S02", "S09", "S14"))
    day = (max(world.now + node.skew, world.last_stamp[node.name]) + CHINA).date()
    request = f"r{world.next_number()}"
    if service == "S14":
        some = _some(world, site.chunks[site.services["S02"][0], profile])
        return Question(request, tenant, grant, service, "S14-free", profile, some, None)
    release = like.release if like else chance.choice(site.services[service])
    chunks = site.chunks[release, profile]
    if like is not None:
        places = {(chunk.place, chunk.first) for chunk in like.asked}
        some = tuple(chunk for chunk in chunks if (chunk.place, chunk.first) in places)
    else:
        some = _some(world, chunks)
    price = on_day(world.prices[service], day)
    return Question(request, tenant, grant, service, release, profile, some, price)


def _some(world: World, chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    return tuple(world.chance.sample(chunks, world.chance.randint(1, 4)))


def _again(world: World, asked: Question) -> Question:
    return Question(f"r{world.next_number()}", *list(vars(asked).values())[1:])


def begin(world: World, node: Node, question: Question) -> Flight | None:
    """Reserve, then decide as the policy does: what all gateways used or hold, and this call,
    must fit the limit. None: refused."""
    flight = node.begin(question)
    expected = max(world.now + node.skew, world.last_stamp[node.name])
    if flight.stamp.time != expected:
        raise Broken("I6", f"{node.name} stamped {flight.stamp.time}, its clock says {expected}")
    world.last_stamp[node.name] = expected
    if not node.covers(flight, world.limits[question.grant]):
        node.refuse(flight)
        return None
    _within_limit(world, question.grant, f"{expected + CHINA:%Y-%m}")
    return flight


def _within_limit(world: World, grant: str, month: str) -> None:
    """Used and reserved together, over all gateways, never pass the limit of a month."""
    in_air = (flight for node in world.serving() for flight in node.flights)
    reserved = sum(
        flight.question.cells
        for flight in in_air
        if (flight.question.grant, f"{flight.stamp.time + CHINA:%Y-%m}") == (grant, month)
    )
    used = world.used.get((grant, month), 0)
    if used + reserved > world.limits[grant]:
        raise Broken("I13", f"{grant}: {used} used and {reserved} held of {world.limits[grant]}")


def finish(world: World, node: Node, flight: Flight) -> None:
    """The answer is recorded, then it leaves: from here on it counts."""
    asked, time = flight.question, flight.stamp.time
    charged = _to_charge(world, node, asked, time)
    try:
        entry = node.answer(flight)
    except SluiceError as error:
        raise Broken("I1", f"an answer was not recorded: {told(error)}") from error
    billed = sum(chunk.count for chunk in charged)
    if entry.usage is None or entry.usage.billable_qty != billed:
        raise Broken("I2", f"{asked.request} is charged {entry.usage}, not {billed} cells")
    note(world, node, flight, charged)


def note(world: World, node: Node, flight: Flight, charged: tuple[Chunk, ...]) -> None:
    """The auditor writes the answer down."""
    asked, time = flight.question, flight.stamp.time
    for chunk in charged:
        world.charged[node.name, asked.tenant, asked.release, chunk.place, chunk.first] = time
    world.auditor.answers[flight.stamp.event_id] = Answer(
        flight.stamp.event_id,
        node.name,
        time,
        asked.tenant,
        asked.grant,
        asked.service,
        asked.release,
        FREE if asked.price is None else asked.price.ref,
        asked.chunks,
        charged,
    )
    world.recorded[node.name].append(flight.stamp.event_id)
    key = (asked.grant, f"{time + CHINA:%Y-%m}")
    world.used[key] = world.used.get(key, 0) + asked.cells


def _to_charge(world: World, node: Node, asked: Question, time: datetime) -> tuple[Chunk, ...]:
    """What this gateway did not charge the tenant for in thirty days."""
    if asked.price is None:
        return ()

    def free(chunk: Chunk) -> bool:
        key = (node.name, asked.tenant, asked.release, chunk.place, chunk.first)
        return key in world.charged and world.charged[key] > time - ONCE_IN

    return tuple(chunk for chunk in asked.chunks if not free(chunk))


def replay(world: World) -> None:
    """What was recorded is handed in again, once to three times: it counts once."""
    node = world.chance.choice(world.serving())
    if not node.entries:
        return
    entry = world.chance.choice(node.entries)
    for _ in range(world.chance.randint(1, 3)):
        try:
            node.offer(entry)
        except SluiceError as error:
            raise Broken("I2", f"a repeated entry was refused: {told(error)}") from error


def forge(world: World) -> None:
    """Another content is handed in under a name that is known: what stands is kept."""
    node = world.chance.choice(world.serving())
    if not node.entries:
        return
    entry = world.chance.choice(node.entries)
    try:
        node.offer(other_content(entry))
    except JournalConflict:
        return
    raise Broken("I3", f"{entry.request_id} was taken with another content")


def crash(world: World) -> None:
    """A gateway dies while nothing is asked."""
    _die(world, world.chance.choice(world.serving()))


def _die(world: World, node: Node) -> None:
    """A gateway dies, sometimes with an answer recorded that never left, and comes back with
    another clock. What the client asks again it is not charged for twice."""
    waiting = list(node.flights)
    if waiting and world.chance.random() < 0.5:
        finish(world, node, waiting[0])
    node.crash()
    world.now += timedelta(seconds=world.chance.randint(1, 600))
    start(world, node)
    for flight in waiting:
        _ask(world, node, _priced(world, node, _again(world, flight.question)))


def lose(world: World) -> None:
    """A machine is gone with its journal; another one takes its place."""
    if len(world.nodes) < MOST_NODES:
        node = world.chance.choice(world.serving())
        node.crash()
        node.state = "lost"
        world.start()


def find(world: World) -> None:
    """The disk of a lost machine is found: what it answered is known late."""
    lost = [node for node in world.nodes.values() if node.state == "lost"]
    if lost:
        world.chance.choice(lost).state = "found"


def _priced(world: World, node: Node, asked: Question) -> Question:
    """The question at the price of the day it is asked again."""
    if asked.price is None:
        return asked
    day = (max(world.now + node.skew, world.last_stamp[node.name]) + CHINA).date()
    fields = {**vars(asked), "price": on_day(world.prices[asked.service], day)}
    return Question(**fields)


def start(world: World, node: Node) -> None:
    """A process on the node's journal: its time goes on where the journal ends."""
    node.start(world.skew())
    recorded = world.recorded[node.name]
    last = [world.auditor.answers[recorded[-1]].time] if recorded else []
    world.last_stamp[node.name] = max(last, default=datetime.min.replace(tzinfo=world.now.tzinfo))
