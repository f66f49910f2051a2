/** One line per step on the terminal: what, and how long it took. */
export class Progress {
  constructor(private readonly write: (text: string) => void) {}

  async step<T>(name: string, text: string, work: (say: (text: string) => void) => Promise<T>): Promise<T> {
    const begun = performance.now();
    const label = `  ${name.padEnd(12)} `;
    this.write(`${label}${text} ... `);
    // A step that does more than it announced says so on a line of its own.
    const say = (more: string): void => this.write(`\n${' '.repeat(label.length)}${more} ... `);
    try {
      const result = await work(say);
      this.write(`done (${((performance.now() - begun) / 1_000).toFixed(1)} s)\n`);
      return result;
    } catch (error) {
      this.write('failed\n');
      throw error;
    }
  }

  line(text: string): void {
    this.write(`${text}\n`);
  }
}
