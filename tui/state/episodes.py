"""Patterns folded into episodes, so that a burst is a counter on one row.

An episode is a run of patterns of one source, entity, type and detector without a gap of more than ``GAP_US`` of event time.
What comes out depends on the set of patterns only, never on the order in which they came: stored and live patterns mix.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from sys import intern

import msgspec

from qraft.model import Pattern, PatternType, decode_pattern, encode, us_from_iso

GAP_US = 5 * 60 * 1_000_000
MAX_EPISODES = 10_000
MAX_IDS = 60_000
UNPACKED = 256
"""Peaks kept ready: more than are ever in view."""

Group = tuple[str, str, str, str]


class Peak(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The pattern of highest confidence of a run: packed, since ten thousands are held, and what is asked of it often.

    A pattern takes some 3 kB as objects, 1 kB as JSON, half of that compressed.
    """

    packed: bytes
    pattern_id: str
    time_us: int
    confidence: float
    kind: str
    summary: str
    fields: tuple[str, ...]

    @property
    def rank(self) -> tuple[float, int, str]:
        """Of several patterns the one of least rank is the peak: most confident, then earliest, then of least id."""
        return -self.confidence, self.time_us, self.pattern_id


class Episode(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One run of patterns. Times are UTC microseconds of event time.

    Attributes:
        key: stays the same while the episode grows; after a merge the old key still finds it.
        top: the pattern of highest confidence: the one shown and judged.
        seq: grows with arrival; the episode touched last has the highest.
        touched_us: when its last pattern came here (wall time); for stored patterns their event time.
    """

    key: str
    source: str
    entity: str
    type: PatternType
    detector: str
    n: int
    first_us: int
    last_us: int
    top: Peak
    seq: int
    touched_us: int

    @classmethod
    def of(
        cls,
        peak: Pattern,
        *,
        key: str = "",
        n: int = 1,
        first_us: int | None = None,
        last_us: int | None = None,
        seq: int = 0,
        touched_us: int | None = None,
    ) -> Episode:
        """A run of ``n`` patterns with this peak; what is not given is that of the peak alone."""
        top = _peak(peak, time_of(peak))
        last = top.time_us if last_us is None else last_us
        return cls(
            key=key or peak.pattern_id,
            source=intern(peak.source),
            entity=intern(peak.entity),
            type=peak.type,
            detector=intern(peak.detector),
            n=n,
            first_us=top.time_us if first_us is None else first_us,
            last_us=last,
            top=top,
            seq=seq,
            touched_us=last if touched_us is None else touched_us,
        )

    @property
    def name(self) -> str:
        """``source/entity``, or the source alone."""
        return f"{self.source}/{self.entity}" if self.entity else self.source

    @property
    def peak(self) -> Pattern:
        """The pattern of highest confidence."""
        return _unpacked(self.top.packed)

    @property
    def peak_us(self) -> int:
        """When the peak was."""
        return self.top.time_us

    @property
    def confidence(self) -> float:
        """The highest confidence of the run, in [0, 1]."""
        return self.top.confidence


@lru_cache(UNPACKED)
def _unpacked(packed: bytes) -> Pattern:
    return decode_pattern(zlib.decompress(packed))


def _peak(pattern: Pattern, time_us: int) -> Peak:
    return Peak(
        packed=zlib.compress(encode(pattern), 1),
        pattern_id=pattern.pattern_id,
        time_us=time_us,
        confidence=pattern.details.confidence,
        kind=intern(pattern.kind),
        summary=pattern.summary,
        fields=tuple(intern(c.field) for c in pattern.contributors),
    )


def time_of(pattern: Pattern) -> int:
    """Event time in UTC microseconds; 0 when the pattern's text is no time."""
    try:
        return us_from_iso(pattern.timestamp)
    except ValueError:
        return 0


class Episodes:
    """All episodes known, the one touched last at the end. Beyond ``limit`` the oldest give way."""

    def __init__(self, limit: int = MAX_EPISODES, max_ids: int = MAX_IDS) -> None:
        self._limit = limit
        self._max_ids = max_ids
        self._by_key: dict[str, Episode] = {}
        self._runs: dict[Group, list[str]] = {}
        self._key_of: dict[str, str] = {}
        self._ids: deque[str] = deque()
        self._alias: dict[str, str] = {}
        self._seq = 0
        self._merges: list[tuple[str, str]] = []
        self.forgotten = 0
        """Episodes that gave way."""

    def __len__(self) -> int:
        return len(self._by_key)

    def newest_first(self) -> Iterator[Episode]:
        """Episodes, the one touched last first."""
        return reversed(self._by_key.values())

    def get(self, key: str) -> Episode | None:
        """The episode of ``key``, also when it was merged into another."""
        found = self._by_key.get(key)
        return found if found is not None else self._by_key.get(self.resolve(key))

    def resolve(self, key: str) -> str:
        """The key under which the episode of ``key`` stands now."""
        return self._alias.get(key, key)

    def key_of(self, pattern_id: str) -> str | None:
        """The key of the episode that holds a pattern; None when it is not known or forgotten."""
        key = self._key_of.get(pattern_id)
        if key is None:
            return None
        key = self.resolve(key)
        return key if key in self._by_key else None

    def add(self, pattern: Pattern, touched_us: int) -> Episode | None:
        """Folds one pattern in; returns its episode, or None when the pattern was known already."""
        if pattern.pattern_id in self._key_of:
            return None
        time_us = time_of(pattern)
        group = (pattern.source, pattern.entity, pattern.type, pattern.detector)
        runs = self._runs.setdefault(group, [])
        joined = self._joined(runs, time_us)
        self._seq += 1
        if not joined:
            episode = Episode.of(pattern, seq=self._seq, touched_us=touched_us)
            runs.append(episode.key)
            runs.sort(key=lambda key: self._by_key[key].first_us if key in self._by_key else time_us)
        else:
            episode = self._grown(runs, joined, pattern, time_us, touched_us)
        self._by_key[episode.key] = episode
        self._remember(pattern.pattern_id, episode.key)
        if len(self._by_key) > self._limit:
            self._forget_oldest()
        return episode

    def put(self, episode: Episode) -> None:
        """Takes an episode as it is, in place of one of its key; later patterns of its run are not folded into it."""
        self._by_key.pop(episode.key, None)
        self._seq += 1
        self._by_key[episode.key] = msgspec.structs.replace(episode, seq=self._seq)
        self._remember(episode.key, episode.key)
        self._remember(episode.top.pattern_id, episode.key)

    def settle(self) -> None:
        """Brings stored and live episodes into one order: by when they were touched last."""
        self._by_key = dict(sorted(self._by_key.items(), key=lambda item: (item[1].touched_us, item[1].seq)))

    def take_merges(self) -> list[tuple[str, str]]:
        """Pairs (old key, key it was merged into) since the last call."""
        merges, self._merges = self._merges, []
        return merges

    def _joined(self, runs: list[str], time_us: int) -> list[Episode]:
        if runs:
            last = self._by_key[runs[-1]]
            if time_us >= last.first_us:  # the usual case: runs before the last one end more than a gap earlier
                return [last] if time_us <= last.last_us + GAP_US else []
        found = (self._by_key[key] for key in runs)
        return [e for e in found if e.first_us - GAP_US <= time_us <= e.last_us + GAP_US]

    def _grown(self, runs: list[str], joined: list[Episode], pattern: Pattern, time_us: int, touched_us: int) -> Episode:
        kept = joined[0]
        top = min((e.top for e in joined), key=lambda peak: peak.rank) if joined[1:] else kept.top
        confidence = pattern.details.confidence
        if confidence > top.confidence or (
            confidence == top.confidence and (-confidence, time_us, pattern.pattern_id) < top.rank
        ):
            top = _peak(pattern, time_us)
        for other in joined[1:]:
            del self._by_key[other.key]
            runs.remove(other.key)
            self._merges.append((other.key, kept.key))
            self._alias = {a: kept.key if t == other.key else t for a, t in self._alias.items()} | {other.key: kept.key}
        self._by_key.pop(kept.key)  # goes back in at the end: the order of the dict is the order of arrival
        return Episode(
            key=kept.key,
            source=kept.source,
            entity=kept.entity,
            type=kept.type,
            detector=kept.detector,
            n=sum(e.n for e in joined) + 1,
            first_us=min(time_us, joined[0].first_us),
            last_us=max(time_us, joined[-1].last_us),
            top=top,
            seq=self._seq,
            touched_us=max(touched_us, *(e.touched_us for e in joined)),
        )

    def _remember(self, pattern_id: str, key: str) -> None:
        if pattern_id not in self._key_of:
            self._ids.append(pattern_id)
        self._key_of[pattern_id] = key
        if len(self._key_of) > self._max_ids:
            del self._key_of[self._ids.popleft()]  # the first key of a dict is dear to find once many before it are gone

    def _forget_oldest(self) -> None:
        key = next(iter(self._by_key))
        old = self._by_key.pop(key)
        group = (old.source, old.entity, old.type, old.detector)
        self._runs[group].remove(key)
        if not self._runs[group]:
            del self._runs[group]
        self._alias = {alias: target for alias, target in self._alias.items() if target != key}
        self.forgotten += 1
