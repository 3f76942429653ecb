# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control interface: what a test may see and do behind the scenes. Plain HTTP, JSON."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from . import entities
from .catalogue import ENTITIES
from .config import ConfigError
from .defaults import APPLIANCE
from .device import Device
from .envelope import Refused, Step
from .firewall import Firewall, Fleet
from .schema import named, text

__all__ = ["application"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
FLEET = web.AppKey("fleet", Fleet)


def application(fleet: Fleet) -> web.Application:
    app = web.Application(middlewares=[_errors])
    app[FLEET] = fleet
    one = "/firewalls/{name}"
    app.add_routes(
        [
            web.get("/firewalls", _list),
            web.get(one, _show),
            web.get(one + "/objects/{entity}", _objects),
            web.post(one + "/reset", _reset),
            web.post(one + "/faults", _add_faults),
            web.delete(one + "/faults", _clear_faults),
            web.put(one + "/settings", _settings),
            web.put(one + "/certificates/{certificate}", _certificate),
        ]
    )
    return app


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (ConfigError, Refused, json.JSONDecodeError, KeyError) as error:
        return web.json_response({"error": str(error)}, status=400)


def _firewall(request: web.Request) -> Firewall:
    name = request.match_info["name"]
    try:
        return request.app[FLEET].firewalls[name]
    except KeyError:
        raise web.HTTPNotFound(
            text=json.dumps({"error": f"no firewall {name}"}), content_type="application/json"
        ) from None


def _summary(firewall: Firewall) -> dict[str, Any]:
    config = firewall.device.config
    return {
        "name": config.name,
        "address": config.address,
        "admin_port": config.admin_port,
        "http_port": config.http_port,
        "counters": dict(firewall.device.journal.counters),
        "held": firewall.faults.held,
        "port80_open": any(port80.forward is not None for port80 in firewall.plane.ports80),
    }


def _bindings(device: Device) -> list[dict[str, str]]:
    return [
        {"entity": entity.tag, "name": name, "path": ref.path, "certificate": certificate}
        for entity in ENTITIES.values()
        for ref in entity.references
        if "Certificate" in ref.targets
        for name in device.store.names(entity.tag)
        for certificate in named(device.store.get(entity.tag, name), ref.path)  # type: ignore[arg-type]
    ]


async def _list(request: web.Request) -> web.Response:
    return web.json_response([_summary(firewall) for firewall in request.app[FLEET].firewalls.values()])


async def _show(request: web.Request) -> web.Response:
    firewall = _firewall(request)
    store, plane = firewall.device.store, firewall.plane
    return web.json_response(
        {
            **_summary(firewall),
            "log": list(firewall.device.journal.entries),
            "open_intervals": sorted(
                (interval for port80 in plane.ports80 for interval in port80.intervals),
                key=lambda interval: interval["opened_monotonic"],
            ),
            "objects": {tag: [name for name in store.names(tag) if name] for tag in ENTITIES},
            "bindings": _bindings(firewall.device),
            "certificates": {
                name: store.material("Certificate", name).fingerprint for name in store.names("Certificate")
            },
            "appliance_fingerprint": store.material("Certificate", APPLIANCE).fingerprint,
            "served": plane.served(),
            "errors": plane.errors,
        }
    )


async def _objects(request: web.Request) -> web.Response:
    """Name -> XML, exactly as a Get shows it; a singleton has the name ""."""
    device, entity = _firewall(request).device, ENTITIES[request.match_info["entity"]]
    shown = entities.read(device, Step("get", ET.Element(entity.tag)))
    names = ["" if entity.singleton else text(found, entity.key) for found in shown]
    xml = [ET.tostring(found, encoding="unicode") for found in shown]
    return web.json_response(dict(zip(names, xml, strict=True)))


async def _reset(request: web.Request) -> web.Response:
    firewall = _firewall(request)
    then = await request.json() if request.can_read_body else {"counters": {}, "log": []}
    firewall.device.journal.back_to(then["counters"], then["log"])
    return web.json_response({})


async def _add_faults(request: web.Request) -> web.Response:
    await _firewall(request).set_faults(await request.json())
    return web.json_response({})


async def _clear_faults(request: web.Request) -> web.Response:
    await _firewall(request).set_faults(None)
    return web.json_response({})


async def _settings(request: web.Request) -> web.Response:
    firewall = _firewall(request)
    await firewall.change(firewall.device.settings.changed(await request.json()))
    return web.json_response({})


async def _certificate(request: web.Request) -> web.Response:
    document = await request.json()
    await _firewall(request).put_certificate(
        request.match_info["certificate"], document["certificate"], document.get("key", "")
    )
    return web.json_response({})
