/**
 * Running what should notice an error in a copy of the tree, and telling an error
 * that was noticed from a program that did not even start.
 *
 * @module
 */
import type { TreeCopy } from "./copy.ts";
import { formatKiller, type Killer, type Mutant } from "./mutant.ts";

/** Seconds after which a killer counts as one that never ends, a sign of an error by itself. */
const PATIENCE = 240;

/** What one killer said. */
export interface Verdict {
  /** `passed`: it noticed nothing. `invalid`: nothing was run, or a kernel did not compile. */
  readonly outcome: "passed" | "failed" | "invalid";
  /** The first test that failed, or what else there is to say. */
  readonly what: string;
}

/** What became of a mutant. */
export interface Fate {
  readonly mutant: Mutant;
  readonly outcome: "killed" | "survived" | "invalid";
  /** What noticed it; of an invalid one, what is wrong with it. */
  readonly by: string;
  readonly seconds: number;
}

/** Plants a mutant in a copy and runs its killers, until one notices it. */
export async function hunt(mutant: Mutant, copy: TreeCopy): Promise<Fate> {
  const begun = performance.now();
  const fate = (outcome: Fate["outcome"], by: string): Fate => ({
    mutant,
    outcome,
    by,
    seconds: (performance.now() - begun) / 1000,
  });
  return await copy.with(mutant, async () => {
    for (const killer of mutant.killers) {
      const { outcome, what } = await runKiller(killer, copy);
      if (outcome === "invalid") return fate("invalid", what);
      if (outcome === "failed") return fate("killed", what);
    }
    return fate("survived", "");
  });
}

/** Runs a killer in a copy of the tree as it is. */
export async function runKiller(killer: Killer, copy: TreeCopy): Promise<Verdict> {
  const args = "lce" in killer
    ? ["run", "--quiet", "--no-check", "-A", "cli/main.ts", ...killer.lce]
    : [
      "test",
      "--quiet",
      "--no-check",
      "--fail-fast",
      "-A",
      ...(killer.filter === undefined ? [] : [`--filter=${killer.filter}`]),
      killer.test,
    ];
  // Nobody's tuned rates may decide what is run.
  const untuned = await Deno.makeTempDir();
  const patience = AbortSignal.timeout(1000 * PATIENCE);
  try {
    const { code, stdout, stderr } = await new Deno.Command("deno", {
      args,
      cwd: copy.path,
      env: {
        NO_COLOR: "1",
        LCE_CACHE: untuned,
        XDG_RUNTIME_DIR: Deno.env.get("XDG_RUNTIME_DIR") ?? "/tmp",
      },
      stdin: "null",
      signal: patience,
    }).output();
    if (patience.aborted) return { outcome: "failed", what: `no end in ${PATIENCE} s` };
    const decoder = new TextDecoder();
    return judge(killer, code, `${decoder.decode(stdout)}\n${decoder.decode(stderr)}`);
  } finally {
    await Deno.remove(untuned, { recursive: true });
  }
}

/** Reads what a killer printed. */
function judge(killer: Killer, code: number, text: string): Verdict {
  // An edit that breaks the program's text says nothing about the tests.
  const broken = /^.*(?:does not compile|\(uncaught error\)).*$/m.exec(text)?.[0];
  if (broken !== undefined) return { outcome: "invalid", what: broken.trim().slice(0, 200) };
  if ("lce" in killer) {
    return code === 0
      ? { outcome: "passed", what: "" }
      : { outcome: "failed", what: `${formatKiller(killer)}: exit code ${code}` };
  }
  const passed = Number(/(\d+) passed/.exec(text)?.[1] ?? 0);
  if (code === 0) {
    return passed > 0
      ? { outcome: "passed", what: "" }
      : { outcome: "invalid", what: `${formatKiller(killer)}: no such test` };
  }
  const failed = /^ FAILURES \s*\n\s*\n(.+?) => /m.exec(text)?.[1];
  return { outcome: "failed", what: failed ?? `${killer.test}: exit code ${code}` };
}
