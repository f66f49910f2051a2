/** A closed state machine: for each state, the commands that are legal there and the state each leads to. */
export type TransitionTable<State extends string, Command extends string> = Readonly<
  Record<State, Readonly<Partial<Record<Command, State>>>>
>;

/** @returns the next state, or undefined when the command is not legal in this state. */
export function nextState<State extends string, Command extends string>(
  table: TransitionTable<State, Command>,
  state: State,
  command: Command,
): State | undefined {
  return table[state][command];
}
