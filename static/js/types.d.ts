// Shapes of what travels between server and page, for `tsc --checkJs` only; nothing here reaches the browser.

/** Quantised array: value = low + (high - low) * byte / 255, row-major (app/wire/arrays.py). */
interface Pack { shape: number[]; low: number; high: number; data: string }

type Example =
  | { source: "drawing"; size: number; ink_base64: string }
  | { source: "train" | "test"; index: number };

interface LayerFrame {
  index: number; type: string;
  activations: Pack | null; gradients: Pack | null; weights: Pack | null; weight_gradients: Pack | null;
}
interface Seen { box: [number, number, number, number]; scaled: Pack; centred: Pack }
interface Frame {
  view: "layers"; watch: string; step: number;
  example: { source: "drawing" | "train" | "test"; index: number | null; label: number | null } | null;
  probabilities: number[] | null; class: number | null; loss: number | null;
  input: Pack | null; seen: Seen | null; layers: LayerFrame[];
}
type Top = [number, number][];
interface TilesFrame { view: "tiles"; watch: string; step: number; tiles: { index: number; top: Top }[] }
interface ExampleItem { index: number; label: number; class: number; right: boolean; top: Top; image: Pack }

type Column =
  | "step" | "examples" | "seconds" | "train_loss" | "l1_loss" | "l2_loss" | "train_accuracy"
  | "validation_loss" | "validation_accuracy" | "test_loss" | "test_accuracy";
type Columns = Record<Column, (number | null)[]>;
interface Metrics { points: Columns; latest: Record<string, number | null> }

/** Every point of a point run, edits of others included: `GET /api/runs/{id}/points`. Places in it are what frames mean by an index. */
interface PointsAnswer {
  columns: string[]; classes: string[]; target: string; digest: string;
  values: number[][]; labels: number[]; split: ("train" | "test")[];
  domain: [[number, number], [number, number]];
}
interface HiddenFrame {
  layer: number; units: [number, number] | "components"; grid: [number[], number[]]; points: [number[], number[]];
  low: [number, number]; high: [number, number]; explained: [number, number] | null;
}
interface CurveFrame {
  x: [number, number]; output: (number | null)[]; units: { layer: number; curves: (number | null)[][] } | null;
  residuals: (number | null)[]; least_squares: { output: (number | null)[]; loss: number | null } | null;
}
interface Histogram { low: number; high: number; counts: number[] }
interface LayerHistogram { layer: number; units: number; dead: number; weights: Histogram; activations: Histogram | null }
/**
 * One snapshot of a point run; what the watch did not ask for is null. `layer` is a place in the network, −1 the inputs. Maps
 * have the largest y in row 0. Lists of layers leave out what is too large for a frame, or no longer made of numbers.
 */
interface PlaneFrame {
  view: "plane"; watch: string; step: number; taken: number; domain: [[number, number], [number, number]];
  outputs: Pack | null;
  neuron: { layer: number; unit: number; map: Pack } | null;
  neurons: { layer: number; maps: Pack }[] | null;
  weights: { layer: number; weights: (number | null)[][]; biases: (number | null)[] }[] | null;
  /** The class that each point is taken for; the places of those for which it is the wrong one. */
  predictions: number[] | null; mistakes: number[] | null;
  hidden: HiddenFrame | null; curve: CurveFrame | null; histograms: LayerHistogram[] | null;
}

interface Run {
  id: string; name: string; state: string; sentence: string;
  step: number; examples: number; epoch: number; seconds: number; generation: number; seed: number;
  parameters: number; multiply_adds: number;
  metrics: Record<string, number | null>;
  network: Record<string, unknown>[];
  dataset: {
    classes: string[]; input_shape: number[]; train_examples: number; validation_examples: number; test_examples: number;
    task: "classification" | "regression"; columns?: string[]; domain?: [[number, number], [number, number]]; digest?: string;
  };
  [field: string]: unknown;
}

/** An array in figures; all of it in `values` where it is small. */
interface ToldArray { shape: number[]; low: number | null; high: number | null; mean: number | null; values: any[] | null; pack: Pack | null }
interface ToldChange { old: ToldArray; gradient: ToldArray; new: ToldArray; steepest: { place: number[]; old: number | null; gradient: number | null; new: number | null } }
interface NarratedLayer { index: number; type: string; name: string; outputs: ToldArray; gradients: ToldArray; weights: ToldChange | null; biases: ToldChange | null }
/** One update, told: POST /api/runs/{id}/narration. */
interface NarratedUpdate {
  step: number; made: boolean; optimizer: string; learning_rate: number; loss: number | null; penalty: number | null;
  batch: { examples: number; of: number; places: number[] };
  example: { input: ToldArray; label: string | null; target: number | null; classes: string[]; probabilities: number[] | null; loss: number | null };
  layers: NarratedLayer[];
}

/** The part of uPlot that the charts use. */
interface UPlot {
  root: HTMLElement; over: HTMLElement; ctx: CanvasRenderingContext2D;
  bbox: { left: number; top: number; width: number; height: number };
  cursor: { idx?: number | null; left?: number }; select: { left: number; width: number };
  scales: Record<string, { min?: number; max?: number }>;
  setData(data: (number | null)[][], resetScales?: boolean): void;
  setSize(size: { width: number; height: number }): void;
  setScale(key: string, range: { min: number; max: number }): void;
  setSelect(area: { left: number; top: number; width: number; height: number }, fire?: boolean): void;
  posToVal(position: number, scale: string): number;
  valToPos(value: number, scale: string, canvas?: boolean): number;
  redraw(): void; destroy(): void;
}
interface UPlotConstructor {
  new (options: object, data: (number | null)[][], target: HTMLElement): UPlot;
  /** Tables of x and y -> one x, and each y with gaps where it has none. */
  join(tables: number[][][]): (number | null)[][];
}

/** The part of htmx 4 that the page calls by itself. */
interface Htmx { ajax(verb: string, path: string, options: object): Promise<unknown>; process(element: Element): void }
interface Window { htmx?: Htmx }
interface Uint8ArrayConstructor { fromBase64?(text: string): Uint8Array<ArrayBuffer> }
interface Uint8Array { toBase64?(): string }
