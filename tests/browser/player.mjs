// Opens the pages of runs in Chromium and compares them with what `tests/player.rs` expects, which runs this.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const folder = process.env.SYNOD_PAGES;
const expected = JSON.parse(readFileSync(`${folder}/expected.json`, "utf8"));
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
/** Nothing takes that long, even on a busy machine. */
const PATIENCE_MS = 60_000;

let browser;

before(async () => {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
});

after(() => browser?.close());

/** Opens the page of a run, in a window of its own. Whatever its console says fails the test. */
async function open(name, { hash = "", colorScheme = "light" } = {}) {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, colorScheme });
  page.setDefaultTimeout(PATIENCE_MS);
  page.said = [];
  page.on("console", (message) => page.said.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => page.said.push(String(error)));
  page.on("request", (request) => {
    if (!/^(file|data):/.test(request.url())) page.said.push(`asked for ${request.url()}`);
  });
  await page.goto(`file://${expected[name].file}${hash}`);
  await page.waitForSelector("html[data-ready]");
  return page;
}

/** Closes a page, which must have had nothing to complain about. */
async function close(page) {
  assert.deepEqual(page.said, []);
  await page.close();
}

/** Waits until the next two frames were painted. */
function painted(page) {
  return page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

/** Returns what the panel shows of each node. */
function panel(page) {
  return page.evaluate(() =>
    [...document.querySelectorAll(".node")].map((row) => {
      const text = (name) => row.querySelector(`.${name}`).textContent;
      const cells = [...row.querySelectorAll(".cell")].map((cell) => [
        Number(cell.dataset.slot),
        cell.className.replace("cell", "").trim(),
        cell.textContent,
      ]);
      const { state, queues, unsynced, roles, leading } = row.dataset;
      const shown = { state: text("state"), promised: text("promised"), follows: text("follows"), applied: text("applied") };
      return { ...shown, of: state, queues, unsynced, roles, leading, cells };
    }),
  );
}

/** Asserts that a row of the panel shows the state that the simulation has. */
function assertState(row, state, where) {
  assert.equal(row.state, state.state, where);
  if (state.state === "down") return assert.ok(row.cells.every(([, kind]) => kind === ""), where);
  assert.equal(row.promised, state.promised, where);
  assert.equal(row.leading, state.leading, where);
  assert.equal(row.follows, state.follows, where);
  assert.equal(row.applied, `${state.applied} / ${state.decided}`, where);
  assert.equal(row.queues, state.queues.join(" "), where);
  assert.equal(row.roles, state.roles, where);
  assert.equal(row.unsynced, "0", where);
  const votes = new Map(state.votes);
  for (const [slot, kind, round] of row.cells) {
    const isChosen = slot <= state.decided || state.chosen.includes(slot);
    const vote = votes.get(slot);
    const is = slot <= state.applied ? "applied" : isChosen ? "chosen" : vote ? "voted" : "";
    assert.equal(kind, is, `${where}, slot ${slot}`);
    assert.equal(round, vote ? String(vote) : "", `${where}, slot ${slot}`);
  }
}

for (const name of ["default", "kill"]) {
  test(`${name}: the page opens from disk, with an arrow for each message`, async () => {
    const page = await open(name);
    const shown = await page.evaluate(() => ({
      arrows: player.run.messages.arrows.length,
      lost: player.run.messages.arrows.filter((arrow) => arrow.fate === "lost").length,
      terms: player.run.terms.length,
      ready: document.documentElement.dataset.ready,
    }));
    console.log(`${name}: ${Math.round(expected[name].bytes / 1024)} KiB, ready after ${shown.ready} ms`);
    assert.equal(shown.arrows, expected[name].traffic.messages);
    assert.equal(shown.lost, expected[name].traffic.lost);
    assert.equal(shown.terms, expected[name].elections);
    const counts = await page.textContent("#counts");
    assert.match(counts, new RegExp(`^${shown.arrows.toLocaleString("en")} messages`));
    await close(page);
  });

  test(`${name}: at ten times the panel shows what the simulation has`, async () => {
    const page = await open(name);
    // Neither in order nor from the beginning, as people move about.
    for (const { t, nodes } of [...expected[name].states].reverse()) {
      await page.evaluate((t) => player.seek(t), t);
      await painted(page);
      const rows = await panel(page);
      nodes.forEach((state, node) => assertState(rows[node], state, `NODE_${node} at ${t} us`));
    }
    await close(page);
  });
}

for (const name of ["faults-1", "faults-13"]) {
  test(`${name}: copies, delays, losses and disks are told apart`, async () => {
    const page = await open(name);
    const shown = await page.evaluate(() => {
      const { arrows, copies } = player.run.messages;
      const count = (arrows, ...fates) => arrows.filter((arrow) => fates.includes(arrow.fate)).length;
      return {
        messages: arrows.length,
        lost: count(arrows, "lost"),
        delivered: count([...arrows, ...copies], "arrived", "ignored"),
        faults: player.run.faults.length,
        unnamed: player.run.facts.filter((fact) => fact.e === "received" && fact.from !== fact.n && !fact.id).length,
        ends: arrows.every((arrow) => arrow.left >= arrow.sent.t && arrow.at >= arrow.left),
        waited: arrows.some((arrow) => arrow.left > arrow.sent.t),
      };
    });
    const { traffic, faults } = expected[name];
    assert.deepEqual(shown, { ...traffic, faults, unnamed: 0, ends: true, waited: true });
    // All of it can be looked at.
    for (const share of [0.1, 0.3, 0.5, 0.7, 0.9]) {
      await page.evaluate((share) => player.seek(player.run.end * share), share);
      await painted(page);
    }
    await close(page);
  });
}

test("a click on a slot shows the facts that the log has for it", async () => {
  const page = await open("default");
  const { slot, lines } = expected.default;
  const chosen = await page.evaluate((slot) => player.run.chosen.get(slot)[0].t, slot);
  await page.evaluate((t) => player.seek(t), chosen);
  await painted(page);
  await page.click(`.node[data-node="0"] .cell[data-slot="${slot}"]`);
  assert.equal(await page.inputValue("#find"), `slot:${slot}`);
  assert.deepEqual(await page.evaluate(() => player.matches.map((fact) => fact.line)), lines);
  assert.equal(await page.textContent("#found"), `${lines.length} facts`);
  assert.equal(await page.textContent("#details h2"), `The story of slot ${slot}`);
  // Each step of the story leads to its line.
  const steps = page.locator("#details .step");
  assert.ok((await steps.count()) >= 5);
  await page.locator("#details .step", { hasText: "Chosen" }).click();
  assert.match(await page.textContent("#details .line"), new RegExp(`chosen\\(slot=${slot},`));
  await close(page);
});

test("a click on the lost promise says what was lost, and by which rule", async () => {
  const page = await open("kill");
  await page.evaluate(() => {
    const lost = player.run.marks.loss.find((fact) => fact.m === "promise");
    player.diagram.fit(lost.t - 20_000, lost.t + 40_000);
  });
  await painted(page);
  const { x, y, line } = await page.evaluate(() => {
    const box = player.diagram.canvas.getBoundingClientRect();
    const target = player.diagram.targets.find(({ arrow }) => arrow?.fate === "lost" && arrow.kind === "promise");
    return { x: box.x + target.x1, y: box.y + target.y1, line: target.fact.line };
  });
  await page.mouse.move(x, y);
  await painted(page);
  assert.match(await page.textContent("#tip"), /promise: NODE_\d+ → NODE_\d+\nLost/);
  await page.mouse.click(x, y);
  assert.equal(await page.textContent("#details .line"), line);
  assert.match(line, /lost promise/);
  assert.match(await page.textContent("#details .sense"), /The network loses this/);
  assert.deepEqual(await page.locator("#details .rules b").allTextContents(), ["A1", "A3", "S2", "S4"]);
  await close(page);
});

test("the story of an election counts the promises", async () => {
  const page = await open("default");
  await page.click("#why");
  assert.match(await page.textContent("#details"), /Why NODE_0 won \(1, NODE_0\)/);
  assert.match(await page.textContent("#details"), /8 of 14 nodes promised in time, NODE_0 among them, and 8 are a majority/);
  await close(page);
});

test("all of it can be done with the keyboard", async () => {
  const page = await open("kill");
  const selected = () => page.evaluate(() => player.diagram.selected?.e ?? null);
  const index = () => page.evaluate(() => player.diagram.selected.i);
  for (const [key, event] of [["e", "adopted"], ["l", "lost"], ["L", "lost"]]) {
    await page.keyboard.press(key);
    assert.equal(await selected(), event);
  }
  const at = await index();
  await page.keyboard.press("ArrowRight");
  assert.equal(await index(), at + 1);
  await page.keyboard.press("ArrowLeft");
  assert.equal(await index(), at);
  // Typed text is a search, and not keys of the player.
  await page.keyboard.press("/");
  await page.keyboard.type("kind:promise event:received");
  await page.keyboard.press("Enter");
  assert.equal(await selected(), "received");
  await page.keyboard.press("Escape");
  assert.equal(await selected(), null);
  assert.equal(await page.inputValue("#find"), "");
  const scale = () => page.evaluate(() => player.diagram.perPixel);
  const before = await scale();
  await page.keyboard.press("+");
  assert.ok((await scale()) < before);
  await page.keyboard.press("w");
  assert.match(await page.textContent("#details h2"), /^Why NODE_/);
  await page.keyboard.press("s");
  assert.match(await page.textContent("#details h2"), /^The story of slot /);
  await page.keyboard.press("Home");
  assert.equal(await page.evaluate(() => player.diagram.time), 0);
  await page.keyboard.press("Space");
  await page.waitForFunction(() => player.diagram.time > 0);
  await page.keyboard.press("Space");
  assert.equal(await page.getAttribute("#play", "aria-pressed"), "false");
  await page.keyboard.press("?");
  assert.ok(await page.locator("#help").isVisible());
  await close(page);
});

test("a link leads to the same moment", async () => {
  const page = await open("default");
  await page.evaluate(() => {
    player.search("kind:accepted node:3");
    player.go(player.matches, 1);
  });
  await page.waitForFunction(() => location.hash.includes("fact="));
  await painted(page);
  const hash = await page.evaluate(() => player.address());
  const seen = () => [document.querySelector("#states-time").textContent, document.querySelector("#details").textContent, player.query];
  const shared = await page.evaluate(seen);
  const rows = await panel(page);
  const other = await open("default", { hash });
  await painted(other);
  assert.deepEqual(await other.evaluate(seen), shared);
  assert.deepEqual(await panel(other), rows);
  await close(other);
  // A time and a slot are enough.
  const short = await open("default", { hash: "#t=0.95&slot=31" });
  await painted(short);
  assert.match(await short.textContent("#states-time"), /at 0\.9500 s/);
  assert.equal(await short.inputValue("#find"), "slot:31");
  await close(short);
  await close(page);
});

for (const colorScheme of ["light", "dark"]) {
  test(`${colorScheme}: as the system has it, with enough contrast`, async () => {
    const page = await open("default", { colorScheme });
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const [red] = (await paper()).match(/\d+/g).map(Number);
    assert.equal(red > 128, colorScheme === "light");
    await page.addScriptTag({ path: axe });
    for (const view of ["player.home()", "player.tellSlot(31)", "player.select(player.run.marks.loss[0])"]) {
      await page.evaluate(view);
      await painted(page);
      const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
      const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
      assert.deepEqual(found, [], view);
    }
    await page.evaluate("player.clear(), player.home()");
    await painted(page);
    await page.screenshot({ path: `${folder}/${colorScheme}.png` });
    // The switch goes from what the system has to light, and to dark.
    await page.click("#theme");
    assert.equal(await paper(), "rgb(251, 250, 247)");
    await page.click("#theme");
    assert.equal(await paper(), "rgb(21, 24, 29)");
    await close(page);
  });
}

test("a printed page is black on white, without controls", async () => {
  const page = await open("default", { colorScheme: "dark" });
  await page.emulateMedia({ media: "print" });
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), "rgb(255, 255, 255)");
  assert.ok(!(await page.locator("nav").isVisible()));
  assert.ok(await page.locator("#canvas").isVisible());
  assert.equal(await page.evaluate(() => player.diagram.palette.paper), "#fff");
  // What is in view stays in view.
  assert.ok(await page.evaluate(() => player.diagram.range.from > 0));
  await close(page);
});

test("a long run scrolls, as no frame paints more than can be seen", async () => {
  const page = await open("long");
  const facts = await page.evaluate(() => player.run.facts.length);
  assert.ok(facts > 80_000, `${facts}`);
  for (const zoom of [1, 4, 1000]) {
    const { most, frames } = await page.evaluate(async (zoom) => {
      player.diagram.zoom(zoom);
      const frames = [];
      let most = 0;
      let last = performance.now();
      for (let frame = 0; frame < 60; frame += 1) {
        player.diagram.scroller.scrollTop += 50;
        const now = await new Promise(requestAnimationFrame);
        frames.push(now - last);
        last = now;
        most = Math.max(most, player.diagram.targets.filter((target) => target.arrow).length);
      }
      return { most, frames: frames.sort((one, other) => one - other) };
    }, zoom);
    console.log(`${facts} facts, zoom ${zoom}: ${most} arrows a frame, ${frames[30].toFixed(1)} ms (median), ${frames[57].toFixed(1)} ms (95 %)`);
    assert.ok(most <= 1100, `${most}`);
  }
  await close(page);
});
