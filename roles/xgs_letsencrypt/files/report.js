// Copyright: (c) 2026, certfleet contributors
// SPDX-License-Identifier: GPL-3.0-or-later
"use strict";
// The report as a page: vanilla, no build step, nothing from the network. Text enters the document as text only.
(() => {
  const PAGE = 100; // rows that are drawn at a time
  const COLUMNS_AT_MOST = 60;
  const DAY = "day";
  const TONES = {
    critical: "failed, somebody has to look",
    warning: "failed, tried again by the next run",
    good: "renewed, repointed or rehearsed",
    planned: "would be renewed",
    quiet: "unchanged",
  };
  const COLUMNS = [
    { key: "status", label: "Status", order: (row) => urgency(row) },
    { key: "where", label: "Firewall", order: (row) => row.firewall },
    { key: "expires", label: "Expires", order: (row) => row.days_left ?? -Infinity },
    { key: "open", label: "Port 80 open", order: (row) => row.port_open_seconds ?? -1 },
    { key: "what", label: "Served, or what is wrong" },
  ];

  const report = JSON.parse(document.getElementById("data").textContent);
  const rows = report.certificates.map(prepared);
  const longest = Math.max(1, ...rows.map((row) => row.days_left ?? 0));
  const state = { sort: "status", down: false, found: rows, drawn: 0 };
  const byId = (id) => document.getElementById(id);

  // --- rows --------------------------------------------------------------------------------------------------------

  function tone(row) {
    if (row.status === "failed") return row.alarm ? "critical" : "warning";
    if (row.status.startsWith("would be")) return "planned";
    return row.status === "unchanged" ? "quiet" : "good";
  }

  function prepared(row) {
    const names = [row.firewall, row.certificate, ...(row.domains || [])].filter(Boolean);
    return { ...row, tone: tone(row), text: names.join("\n").toLowerCase() };
  }

  function urgency(row) {
    return Object.keys(TONES).indexOf(row.tone);
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a === b ? 0 : a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  }

  // --- elements ----------------------------------------------------------------------------------------------------

  /** An element. Properties are set as such, never parsed; children are elements or text. */
  function el(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [key, value] of Object.entries(properties)) {
      if (key.includes("-") || key === "role") made.setAttribute(key, value);
      else made[key] = value;
    }
    made.append(...children.filter((child) => child !== null && child !== ""));
    return made;
  }

  const number = (value) => value.toLocaleString("en", { maximumFractionDigits: 1 });
  const plural = (count, what) => `${number(count)} ${what}${count === 1 ? "" : "s"}`;
  const dated = (moment) => moment.slice(0, 10);

  function lasting(days) {
    if (days < 0) return `expired ${plural(Math.round(-days * 10) / 10, DAY)} ago`;
    return `in ${plural(days < 10 ? days : Math.floor(days), DAY)}`;
  }

  // --- the chart ---------------------------------------------------------------------------------------------------

  function drawTimeline() {
    const dates = rows.filter((row) => row.days_left !== null);
    const place = byId("timeline");
    if (!dates.length) {
      place.append(el("p", { className: "soft" }, "No certificate is known yet."));
      return;
    }
    const width = niceWidth(longest / COLUMNS_AT_MOST);
    const bins = binned(dates, width);
    const days = (bins.length - 1) * width;
    // The first column is for what has expired, however long ago.
    const left = (day) => `${((1 + day / width) / bins.length) * 100}%`;
    const chart = el("div", { className: "chart", role: "img", "aria-label": told(dates) });
    const highest = Math.max(...bins.map((bin) => bin.length));
    const limits = [...new Set(dates.map((row) => row.alarm_below_days))].sort(compare);
    if (limits.length) {
      const zone = el("div", { className: "zone" });
      zone.style.width = left(Math.min(limits.at(-1), days));
      chart.append(zone);
    }
    bins.forEach((bin, index) => chart.append(column(bin, index, width, highest)));
    chart.append(el("span", { className: "highest soft" }, `highest column: ${number(highest)}`));
    place.append(chart, axis(days, left), legend(dates, limits));
  }

  function niceWidth(least) {
    return [1, 2, 5, 7, 10, 14, 30, 60, 90, 180, 365].find((width) => width >= least) || 1000;
  }

  function binned(dates, width) {
    const bins = Array.from({ length: Math.floor(longest / width) + 2 }, () => []);
    for (const row of dates) bins[row.days_left < 0 ? 0 : 1 + Math.floor(row.days_left / width)].push(row);
    return bins;
  }

  function column(bin, index, width, highest) {
    const from = (index - 1) * width;
    const when = index === 0 ? "expired" : width === 1 ? `in ${plural(from, DAY)}` : `in ${from} to ${from + width} days`;
    const drawn = el("div", { className: "column" });
    if (bin.length) drawn.title = `${when}: ${plural(bin.length, "certificate")}`;
    for (const name of Object.keys(TONES)) {
      const count = bin.filter((row) => row.tone === name).length;
      if (!count) continue;
      const part = el("i", { className: `bar-${name}` });
      part.style.height = `${(count / highest) * 100}%`;
      drawn.append(part);
    }
    return drawn;
  }

  function axis(days, left) {
    const step = niceWidth(days / 6);
    const drawn = el("div", { className: "axis", "aria-hidden": "true" });
    for (let day = 0; day <= days; day += step) {
      const mark = el("span", {}, day === 0 ? "today" : `${day} days`);
      mark.style.left = left(day);
      if (day === 0) mark.className = "first";
      if (day + step / 2 > days) mark.className = "last";
      drawn.append(mark);
    }
    return drawn;
  }

  function legend(dates, limits) {
    const list = el("ul", { className: "legend" });
    for (const [name, text] of Object.entries(TONES)) {
      const count = dates.filter((row) => row.tone === name).length;
      if (count) list.append(el("li", {}, el("i", { className: `bar-${name}` }), `${text}: ${number(count)}`));
    }
    const days = limits.length > 3 ? `${number(limits[0])} to ${number(limits.at(-1))}` : limits.map(number).join(" or ");
    list.append(el("li", {}, el("i", { className: "mark" }), `alarm below ${days} days`));
    const undated = rows.length - dates.length;
    if (undated) list.append(el("li", {}, `not in the picture, no expiry known: ${number(undated)}`));
    return list;
  }

  function told(dates) {
    const within = (row) => row.days_left >= 0 && row.days_left < row.alarm_below_days;
    const expired = dates.filter((row) => row.days_left < 0).length;
    return `Of ${plural(dates.length, "certificate")} ${number(expired)} expired, `
      + `${number(dates.filter(within).length)} below the alarm's threshold; the last one expires in ${number(longest)} days.`;
  }

  // --- the list ----------------------------------------------------------------------------------------------------

  function drawRow(row) {
    const cell = (key, ...children) => el("td", { role: "cell", className: `c-${key}` }, ...children);
    return el("tr", { role: "row" },
      cell("status", ...statusCell(row)),
      cell("where", ...whereCell(row)),
      cell("expires", ...expiresCell(row)),
      cell("open", ...openCell(row)),
      cell("what", ...whatCell(row)));
  }

  function statusCell(row) {
    const parts = [el("span", { className: `status ${row.tone}` }, row.status)];
    if (row.stage) parts.push(el("div", { className: "soft" }, `at ${row.stage}`));
    if (row.alarm) parts.push(el("div", { className: "soft" }, "somebody has to look"));
    return parts;
  }

  function whereCell(row) {
    const domains = row.domains || [];
    const more = domains.length > 4 ? `, and ${domains.length - 3} more` : "";
    const shown = (more ? domains.slice(0, 3) : domains).join(", ") + more;
    const names = el("div", { className: "soft", title: more ? domains.join(", ") : "" }, shown);
    return [el("strong", {}, row.firewall), row.certificate ? ` ${row.certificate}` : "", shown ? names : ""];
  }

  function expiresCell(row) {
    if (row.days_left === null) return [el("span", { className: "soft" }, row.domains ? "no certificate yet" : "unknown")];
    const part = (days) => `${Math.min(100, Math.max(0, (days / longest) * 100))}%`;
    const track = el("div", { className: "track", "aria-hidden": "true" }, el("i", { className: `bar-${row.tone}` }), el("b"));
    track.firstChild.style.width = part(row.days_left);
    track.lastChild.style.left = part(row.alarm_below_days);
    const low = row.days_left < row.alarm_below_days;
    const limit = `alarm below ${number(row.alarm_below_days)} days, lifetime ${number(row.lifetime_days)}`;
    return [
      el("span", { className: low ? "status critical" : "" }, lasting(row.days_left)),
      ", ", el("time", { dateTime: row.not_after }, dated(row.not_after)),
      track, el("div", { className: "soft" }, limit),
    ];
  }

  function openCell(row) {
    if (row.port_open_seconds === null) return [];
    return [el("span", { className: "phone soft" }, "Port 80 was open: "), `${number(row.port_open_seconds)} s`];
  }

  function whatCell(row) {
    const parts = [];
    if (row.error) parts.push(el("p", { className: `error ${row.tone}` }, row.error));
    if (row.consumers.length) parts.push(el("ul", { className: "served" }, ...row.consumers.map(consumer)));
    if (!parts.length && row.reason) parts.push(el("div", {}, row.reason));
    if (!row.consumers.length && row.object) parts.push(el("div", { className: "soft" }, "on the firewall: ", named(row.object)));
    for (const finding of row.findings) {
      const about = [finding.name, finding.problem, finding.remedy].filter(Boolean).join(": ");
      parts.push(el("div", { className: "soft" }, `${finding.severity}: ${about}`));
    }
    return parts;
  }

  const named = (text) => el("span", { className: "name" }, text);

  /** What it served before and after, and how that is known. */
  function consumer(switched) {
    const seen = switched.verified
      ? el("div", { className: "soft" }, `seen by handshake at ${switched.served_by.join(", ")}`)
      : el("div", { className: "soft" }, `not seen by handshake: ${switched.reason || "no endpoint"}`);
    return el("li", {},
      el("strong", {}, switched.consumer), " ",
      el("span", { className: "pair soft" }, "before ", named(switched.previous)), " ",
      el("span", { className: "pair soft" }, "now ", named(switched.certificate)), seen);
  }

  function drawMore(count = PAGE) {
    const next = state.found.slice(state.drawn, state.drawn + count);
    byId("rows").append(...next.map(drawRow));
    state.drawn += next.length;
    const rest = state.found.length - state.drawn;
    byId("more").hidden = rest === 0;
    byId("more").textContent = `Show ${number(Math.min(PAGE, rest))} more of ${number(rest)}`;
  }

  function redraw() {
    const column = COLUMNS.find((each) => each.key === state.sort);
    const wanted = byId("text").value.trim().toLowerCase();
    const { value: status } = byId("status");
    const { value: stage } = byId("stage");
    const sign = state.down ? -1 : 1;
    state.found = rows
      .filter((row) => (!wanted || row.text.includes(wanted)) && (!status || row.status === status) && (!stage || row.stage === stage))
      .map((row) => [column.order(row), row])
      .sort(([a, x], [b, y]) => sign * compare(a, b) || compare(x.days_left ?? -1, y.days_left ?? -1) || compare(x.firewall, y.firewall))
      .map(([, row]) => row);
    state.drawn = 0;
    byId("rows").replaceChildren();
    byId("count").textContent = state.found.length === rows.length
      ? `All ${plural(rows.length, "row")}` : `${number(state.found.length)} of ${plural(rows.length, "row")}`;
    drawMore();
  }

  // --- what the user does ------------------------------------------------------------------------------------------

  function fillSelect(id, values) {
    const counts = new Map();
    for (const value of values) if (value) counts.set(value, (counts.get(value) || 0) + 1);
    byId(id).append(el("option", { value: "" }, "any"));
    for (const [value, count] of [...counts].sort()) byId(id).append(el("option", { value }, `${value} (${number(count)})`));
    byId(id).disabled = !counts.size;
  }

  function drawColumns() {
    for (const { key, label, order } of COLUMNS) {
      const head = el("th", { role: "columnheader", scope: "col", className: `c-${key}`, id: `by-${key}` }, order ? "" : label);
      if (order) head.append(el("button", { type: "button", onclick: () => sortBy(key) }, label));
      byId("columns").append(head);
    }
  }

  function sortBy(key) {
    state.down = state.sort === key && !state.down;
    state.sort = key;
    markSorted();
    redraw();
  }

  function markSorted() {
    for (const { key } of COLUMNS) byId(`by-${key}`).removeAttribute("aria-sort");
    byId(`by-${state.sort}`).setAttribute("aria-sort", state.down ? "descending" : "ascending");
  }

  function start() {
    byId("report").hidden = false;
    drawTimeline();
    drawColumns();
    fillSelect("status", rows.map((row) => row.status));
    fillSelect("stage", rows.map((row) => row.stage));
    byId("filters").addEventListener("input", redraw);
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("filters").addEventListener("reset", () => setTimeout(redraw));
    byId("more").addEventListener("click", () => drawMore());
    new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && drawMore(), { rootMargin: "600px" })
      .observe(byId("more"));
    window.addEventListener("beforeprint", () => drawMore(Infinity));
    markSorted();
    redraw();
  }

  start();
})();
