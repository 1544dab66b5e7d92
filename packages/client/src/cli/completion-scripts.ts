/*
 * The completion of a command line, as the shells want it to be written. Lists (a,b) are completed entry by entry.
 *
 * Names of processes are not offered: they are chosen by anybody, and bash expands the words that it is given.
 */

/** The shells that there is a script for. */
export type Shell = 'bash' | 'zsh' | 'fish';

/** What the values of an option may be; `others` are those that nobody can guess. */
export type Values = { readonly oneOf: readonly string[] } | 'pids' | 'users' | 'files' | 'others';

/** An option; without `values` it takes none. */
export interface CompletedOption {
  readonly name: string;
  readonly describe: string;
  readonly values?: Values | undefined;
  /** Whether it may be given again. */
  readonly repeats: boolean;
}

/** A command with its options, and what may stand beside them. */
export interface CompletedCommand {
  readonly name: string;
  readonly describe: string;
  readonly operands: readonly string[];
  readonly options: readonly CompletedOption[];
}

/** The script for a shell. */
export const scripts: Readonly<Record<Shell, (commands: readonly CompletedCommand[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

const header = (shell: Shell): string =>
  `# Completion of procbus for ${shell}, as "procbus completion ${shell}" prints it.`;

/** For ' quotes. */
const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;

function bashScript(commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name }) => name).join(' ');
  return `${header('bash')}

# The last entry of a list a,b, as compgen finds it with these options.
_procbus_list() {
  local head=
  [[ $word == *,* ]] && head=\${word%,*},
  compopt -o nospace 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -P "$head" "$@" -- "\${word##*,}")
}

_procbus() {
  local word=\${COMP_WORDS[COMP_CWORD]} option= words=
  ((COMP_CWORD > 1)) && option=\${COMP_WORDS[COMP_CWORD - 1]}
  # The = of --events=exec is a word of its own.
  if [[ $word == = ]]; then
    word=
  elif [[ $option == = ]]; then
    option=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  COMPREPLY=()
  case \${option:+\${COMP_WORDS[1]}} in
    '') words=${quoted(`${names} --help --version`)} ;;
${commands.map(bashCommand).join('\n')}
  esac
  [[ -n $words ]] && mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _procbus procbus
`;
}

function bashCommand({ name, operands, options }: CompletedCommand): string {
  const actions = new Map<string, string[]>();
  for (const option of options) {
    if (option.values === undefined) continue;
    const action = bashAction(option.values);
    actions.set(action, [...(actions.get(action) ?? []), `--${option.name}`]);
  }
  const words = [...operands, ...options.map((option) => `--${option.name}`)].join(' ');
  const cases = [...actions, [`words=${quoted(words)}`, ['*']] as const];
  return `    ${name})
      case $option in
${cases.map(([action, flags]) => `        ${flags.join(' | ')}) ${action} ;;`).join('\n')}
      esac
      ;;`;
}

function bashAction(values: Values): string {
  switch (values) {
    case 'pids':
      return '_procbus_list -W "$(cd /proc && echo [0-9]*)"';
    case 'users':
      return '_procbus_list -u';
    case 'files':
      return 'compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word")';
    case 'others':
      return ':';
    default:
      return `_procbus_list -W ${quoted(values.oneOf.join(' '))}`;
  }
}

function zshScript(commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name, describe }) => `      ${quoted(`${name}:${describe}`)}`);
  return `#compdef procbus
${header('zsh')}

_procbus() {
  local curcontext=$curcontext state line
  local -A opt_args
  local -a commands
  _arguments -C '(- *)--help[Show help]' '(- *)--version[Show version number]' ': :->command' '*:: :->rest' && return
  if [[ $state == command ]]; then
    commands=(
${names.join('\n')}
    )
    _describe command commands
    return
  fi
  case $words[1] in
${commands.map(zshCommand).join('\n')}
  esac
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _procbus "$@"
else
  compdef _procbus procbus
fi
`;
}

function zshCommand({ name, operands, options }: CompletedCommand): string {
  const specs = options.map((option) => quoted(zshOption(option)));
  if (operands.length > 0) specs.push(quoted(`: :(${operands.join(' ')})`));
  return `    ${name})
      _arguments \\
        ${specs.join(' \\\n        ')}
      ;;`;
}

function zshOption({ name, describe, values, repeats }: CompletedOption): string {
  const text = describe.replaceAll(/[[\]:\\]/g, String.raw`\$&`);
  const flag = `${repeats ? '*' : ''}--${name}`;
  return values === undefined ? `${flag}[${text}]` : `${flag}=[${text}]:${name}:${zshAction(name, values)}`;
}

function zshAction(name: string, values: Values): string {
  switch (values) {
    case 'pids':
      return '_sequence _pids';
    case 'users':
      return '_sequence _users';
    case 'files':
      return '_files';
    case 'others':
      return ' ';
    default:
      return `_values -s , ${name} ${values.oneOf.join(' ')}`;
  }
}

function fishScript(commands: readonly CompletedCommand[]): string {
  const lines = commands.flatMap(({ name, describe, operands, options }) => {
    const inCommand = `complete -c procbus -n '__fish_seen_subcommand_from ${name}'`;
    return [
      '',
      `complete -c procbus -n __fish_use_subcommand -a ${name} -d ${fishQuoted(describe)}`,
      ...operands.map((operand) => `${inCommand} -a ${operand}`),
      ...options.map((option) => `${inCommand} ${fishOption(option)}`),
    ];
  });
  return `${header('fish')}

complete -c procbus -f
complete -c procbus -n __fish_use_subcommand -l help -d 'Show help'
complete -c procbus -n __fish_use_subcommand -l version -d 'Show version number'
${lines.join('\n')}
`;
}

function fishOption({ name, describe, values }: CompletedOption): string {
  const option = `-l ${name} -d ${fishQuoted(describe)}`;
  return values === undefined ? option : `${option} ${fishAction(values)}`;
}

function fishAction(values: Values): string {
  switch (values) {
    case 'pids':
      return `-x -a '(__fish_complete_list , __fish_complete_pids)'`;
    case 'users':
      return `-x -a '(__fish_complete_list , __fish_complete_users)'`;
    case 'files':
      return '-r -F';
    case 'others':
      return '-x';
    default:
      return `-x -a '(__fish_complete_list , "string split , ${values.oneOf.join(',')}")'`;
  }
}

/** In fish only \ and ' have a meaning within ' quotes. */
function fishQuoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}
