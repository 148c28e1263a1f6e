"""Health of an embedded router: what is looked at, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable

from actors.ports import Sign
from actors.runtime.testing import ManualClock, Stepper
from router.router import Router


class Probe:
    """Finds what the test says; ``None``: never answers."""

    interval = 0

    def __init__(self, service: str, sign: Sign | BaseException | None) -> None:
        self.service = service
        self.sign = sign
        self.looks = 0

    def probe(self, done: Callable[[Sign], None]) -> None:
        self.looks += 1
        if isinstance(self.sign, BaseException):
            raise self.sign
        if self.sign is not None:
            done(self.sign)
            done(Sign(well=False, detail="said twice"))


def looked(*probes: Probe, seconds: float = 0) -> tuple[Router, Callable[[float], None]]:
    clock, stepper = ManualClock(), Stepper()
    router = Router(store="memory://", clock=clock, stepper=stepper)
    router.probes += probes
    router.start()

    def advance(seconds: float) -> None:
        clock.advance(seconds, between=stepper.run)

    advance(seconds)
    return router, advance


def health_of(router: Router) -> dict[str, object]:
    promise = router._health.check()
    router._stepper.run()
    return promise.get(timeout=5)


def services_of(router: Router) -> dict[str, dict[str, object]]:
    promise = router._health.services()
    router._stepper.run()
    found: dict[str, dict[str, object]] = promise.get(timeout=5)["services"]
    return found


def test_discord_is_healthy_as_whoever_looks_at_it_says() -> None:
    probe = Probe("discord", Sign(well=True))
    router, advance = looked(probe)
    protocols = health_of(router)["protocols"]
    assert protocols["discord"]["healthy"] is True
    probe.sign = Sign(well=False, detail="Cloudflare says 1015")
    advance(61)
    found = health_of(router)
    assert found["overall"] is False
    discord = found["protocols"]["discord"]
    assert (discord["healthy"], discord["error"]) == (False, "Cloudflare says 1015")
    assert discord["availability"] < 1
    router.stop()


def test_a_service_that_is_well_is_looked_at_seldom_and_one_that_is_not_often() -> None:
    probe = Probe("api", Sign(well=True))
    router, advance = looked(probe, seconds=300)
    assert probe.looks == 6
    probe.sign = Sign(well=False)
    advance(60)
    before = probe.looks
    advance(60)
    assert probe.looks - before == 12
    router.stop()


def test_a_probe_that_raises_or_never_answers_is_a_bad_sign_and_is_asked_again() -> None:
    raising, silent = Probe("raising", RuntimeError("bug")), Probe("silent", None)
    router, advance = looked(raising, silent, seconds=6)
    found = services_of(router)
    assert (found["raising"]["healthy"], found["raising"]["error"]) == (False, "RuntimeError")
    assert (found["silent"]["healthy"], found["silent"]["error"]) == (False, "no answer within 5 s")
    assert {alert["about"] for alert in router.alerts()} == {"raising", "silent"}
    raising.sign = silent.sign = Sign(well=True)
    advance(20)
    found = services_of(router)
    assert found["raising"]["healthy"] is found["silent"]["healthy"] is True
    assert router.alerts() == []
    router.stop()


def test_what_is_not_set_up_does_not_count() -> None:
    router, _ = looked(Probe("discord", Sign(well=False, detail="no token", counts=False)))
    found = health_of(router)
    assert found["overall"] is True
    discord = found["protocols"]["discord"]
    assert (discord["configured"], discord["healthy"]) == (False, False)
    assert router.alerts() == []
    router.stop()


def test_probes_of_ones_own_stay_when_other_settings_are_used() -> None:
    router = Router(store="memory://")
    probe = Probe("api", Sign(well=True))
    router.probes.append(probe)
    count = len(router.probes)
    router.configure(router.settings)
    assert len(router.probes) == count
    assert probe in router.probes
