"""Every area of the application, in the order of the menu. A new room adds its line here."""

from __future__ import annotations

from stafett.web import (
    account,
    administration,
    api,
    audit,
    capacity,
    casework,
    conditions,
    design,
    exchange,
    incentives,
    keys,
    labels,
    learn,
    letters,
    outlook,
    pages,
    readiness,
    record,
    registry,
    registry_pages,
    replans,
    settlement,
    shipments,
    signin,
    stations,
    told,
    training,
)
from stafett.web.area import Area
from stafett.web.endpoint import Endpoint

AREAS: tuple[Area, ...] = (
    Area("journeys", api.ENDPOINTS, pages.ROUTES, menu=pages.MENU, words=pages.WORDS),
    Area("stations", routes=stations.ROUTES, menu=stations.MENU, words=stations.WORDS),
    Area("sign-in", signin.ENDPOINTS, signin.ROUTES),
    Area("account", account.ENDPOINTS, account.ROUTES, menu=account.MENU, words=account.WORDS),
    Area(
        "administration",
        administration.ENDPOINTS,
        administration.ROUTES,
        menu=administration.MENU,
        words=administration.WORDS,
    ),
    Area("keys", keys.ENDPOINTS, keys.ROUTES, menu=keys.MENU),
    Area("audit", audit.ENDPOINTS, audit.ROUTES, menu=audit.MENU),
    Area(
        "conditions",
        conditions.ENDPOINTS,
        shipments.ROUTES,
        menu=shipments.MENU,
        words=shipments.WORDS,
    ),
    Area("outlook", outlook.ENDPOINTS, outlook.ROUTES, menu=outlook.MENU, words=outlook.WORDS),
    Area("alerts", told.ENDPOINTS, told.ROUTES, menu=told.MENU, words=told.WORDS),
    Area(
        "deviations", casework.ENDPOINTS, casework.ROUTES, menu=casework.MENU, words=casework.WORDS
    ),
    Area("learn", learn.ENDPOINTS, learn.ROUTES, menu=learn.MENU, words=learn.WORDS),
    Area("labels", labels.ENDPOINTS, labels.ROUTES, words=labels.WORDS),
    Area("replans", replans.ENDPOINTS, replans.ROUTES, menu=replans.MENU, words=replans.WORDS),
    Area("capacity", capacity.ENDPOINTS, capacity.ROUTES, menu=capacity.MENU, words=capacity.WORDS),
    Area(
        "exchange",
        exchange.ENDPOINTS,
        exchange.ROUTES,
        mounts=exchange.routes,
        menu=exchange.MENU,
        words=exchange.WORDS,
    ),
    Area("letters", letters.ENDPOINTS, letters.ROUTES, menu=letters.MENU),
    Area(
        "registry",
        registry.ENDPOINTS,
        registry_pages.ROUTES,
        menu=registry_pages.MENU,
        words=registry_pages.WORDS,
    ),
    Area(
        "record",
        record.ENDPOINTS,
        record.ROUTES,
        mounts=record.routes,
        menu=record.MENU,
        words=record.WORDS,
    ),
    Area(
        "readiness",
        readiness.ENDPOINTS,
        readiness.ROUTES,
        menu=readiness.MENU,
        words=readiness.WORDS,
    ),
    Area("incentives", incentives.ENDPOINTS, incentives.ROUTES, menu=incentives.MENU),
    Area("settlement", settlement.ENDPOINTS, settlement.ROUTES, menu=settlement.MENU),
    Area("design", design.ENDPOINTS, design.ROUTES, menu=design.MENU, words=design.WORDS),
    Area(
        "training",
        training.ENDPOINTS,
        training.ROUTES,
        menu=training.MENU,
        words=training.WORDS,
    ),
)
ENDPOINTS: tuple[Endpoint, ...] = tuple(e for area in AREAS for e in area.endpoints)
