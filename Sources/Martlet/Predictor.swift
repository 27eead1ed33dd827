import CPUEngine
import Passes

/// A model made ready for one device: what Core ML calls a loaded `MLModel`. It never changes; threads may share it and
/// predict at the same time.
///
///     let classify = try Predictor(contentsOf: "Classifier.mlpackage")
///     let result = try classify(["image": image])
///
/// A model whose shapes are fixed is compiled here; one with flexible shapes at the first prediction of each shape, and
/// the sixteen shapes used last stay compiled.
public final class Predictor: Sendable {
    public let device: any Device
    /// The function as the model has it, before it was made ready.
    public let function: Function
    public let interface: Interface
    public let metadata: Model.Metadata
    /// What goes in, in order; -1 stands where a size may differ.
    public let inputs: [Port]
    /// What comes out, in order; -1 stands where a size depends on the inputs.
    public let outputs: [Port]
    /// The shapes each input may have, in the order of `inputs`.
    public var shapes: [Shapes] { entries.map(\.shapes) }
    /// What the model remembers from one prediction to the next, where it does: `makeState()` makes a place for it.
    public let states: [Port]
    /// The shape of each input that the model names as the usual one.
    public var usualShapes: [[Int]] { entries.map(\.usual) }

    /// Why the device was taken.
    private let choice: String
    private let entries: [InputFeature]
    private let stateEntries: [InputFeature]
    /// The function that is compiled: without states, unless the device keeps them.
    private let runnable: Function
    private let results: [OutputFeature]
    /// Inputs and outputs need no conversion and stand in the program's order.
    private let takesInputsAsGiven: Bool
    private let givesOutputsAsRun: Bool
    /// The executable for all shapes: for the only ones there are, or one that a device made of the model's file.
    private let only: (any Executable)?
    private let cache = ShapeCache()
    private let evaluate: @Sendable (Call) throws -> [Tensor]?

    /// Loads an `.mlpackage`. Without a device name the rule of `Backend.shared` chooses, as for eager calls; without a
    /// function name it is the model's default one. `links` as for `Model(contentsOf:links:)`. A prediction takes at most
    /// so many `threads` on the CPU, 1 to 256; 0 leaves it to `MARTLET_NUM_THREADS`, else the processors.
    public convenience init(
        contentsOf path: String, device name: String? = nil, function: String? = nil, links: SymbolicLinks = .follow,
        threads: Int = 0
    ) throws {
        try self.init(Model(contentsOf: path, links: links), device: name, function: function, threads: threads)
    }

    /// Makes a model ready likewise.
    public convenience init(
        _ model: Model, device name: String? = nil, function: String? = nil, threads: Int = 0
    ) throws {
        if let name {
            try Threads.check(threads)
            try self.init(model, device: limited(Martlet.device(named: name), threads), function: function)
        } else {
            try self.init(model, choosing: .shared, function: function, threads: threads)
        }
    }

    public convenience init(_ model: Model, device: any Device, function: String? = nil) throws {
        try self.init(model, device: device, function: function, evaluate: evaluateOnCPU)
    }

    /// Makes a model ready for the device that the rule of a backend chooses, judged by the usual shapes of the inputs.
    public convenience init(
        _ model: Model, choosing backend: Backend, function: String? = nil, threads: Int = 0
    ) throws {
        try Threads.check(threads)
        try self.init(model, function: function, evaluate: evaluateOnCPU) {
            let (device, reason) = try backend.place(of: $0(), after: $1)
            return (limited(device, threads), reason)
        }
    }

    convenience init(
        _ model: Model, device: any Device, function: String?,
        evaluate: @escaping @Sendable (Call) throws -> [Tensor]?
    ) throws {
        try self.init(model, function: function, evaluate: evaluate) { _, refusals in
            guard refusals.isEmpty else { throw Failure(.unsupported, "There is no other device.") }
            return (device, "named by the caller")
        }
    }

    /// `choose` is given the function for the usual shapes, and the devices that failed to compile it.
    private init(
        _ model: Model, function name: String?, evaluate: @escaping @Sendable (Call) throws -> [Tensor]?,
        choosing choose: (() -> Function, [Refusal]) throws -> Place
    ) throws {
        let function = try model.program.function(name)
        let interface = try model.interface(function.name)
        let all = try InputFeature.all(of: interface, in: function)
        let results = try OutputFeature.all(of: interface, in: function)
        let stateless = Result { try function.withoutStates() }
        func usual() -> Function {
            let function = ((try? stateless.get()) ?? function).withWideIntegers()
            return (try? ready(function, for: all.types(all.map(\.usual)), evaluate)) ?? function
        }
        let fixed = all.compactMap(\.shapes.fixed)
        let isFixed = fixed.count == all.count
        func made(on device: any Device) throws -> (isOpened: Bool, runnable: Function, only: (any Executable)?) {
            let (opened, isRefused) = try open(model.source, function, interface, on: device)
            if let opened { return (true, function, opened) }
            let declared = try isFixed && device.keepsStates ? function : stateless.get()
            let runnable = device.keepsDeclaredIntegers ? declared : declared.withWideIntegers()
            guard isFixed || isRefused else { return (false, runnable, nil) }
            // A device that refused the file is tried here, while another one can still be asked.
            let tried = try compile(runnable, for: all.types(all.map(\.usual)), on: device, evaluate)
            return (false, runnable, isFixed ? tried : nil)
        }
        let ((device, reason), (isOpened, runnable, only)) = try first({ try choose(usual, $0) }, made)
        let entries = all.filter { !$0.isState }
        self.device = device
        choice = reason
        self.function = function
        self.runnable = runnable
        self.interface = interface
        self.metadata = model.metadata
        self.entries = entries
        stateEntries = all.filter(\.isState)
        states = stateEntries.map { Port(name: $0.name, type: $0.programType) }
        self.results = results
        self.only = only
        self.evaluate = evaluate
        inputs = entries.map { Port(name: $0.name, type: TensorType($0.dtype, $0.shapes.common)) }
        outputs = results.enumerated().map { index, result in
            let shape = only?.outputs[isOpened ? index : result.position].type.shape ?? result.programType.shape
            return Port(name: result.name, type: TensorType(result.dtype, result.labels == nil ? shape : []))
        }
        takesInputsAsGiven =
            isOpened || entries.enumerated().allSatisfy { $1.position == $0 && $1.dtype == $1.programType.dtype }
        givesOutputsAsRun =
            isOpened
            || results.count == function.outputs.count
                && results.enumerated().allSatisfy {
                    $1.position == $0 && $1.labels == nil && $1.dtype == $1.programType.dtype
                }
    }

    /// Predicts from inputs by name; an optional input may be left out. A model with states needs a `state`, which it
    /// changes.
    public func predict(
        _ inputs: [String: Tensor], state: State? = nil, observing observer: Observer? = nil
    ) throws -> [String: Tensor] {
        named(try run(ordered(inputs), state: state, observing: observer))
    }

    /// Predicts without blocking the caller's thread. Any number of predictions may be under way; the inputs are held
    /// until theirs is over. What is cancelled before it began is not begun; what has begun is finished.
    public func predict(_ inputs: [String: Tensor], state: State? = nil) async throws -> [String: Tensor] {
        named(try await run(ordered(inputs), state: state))
    }

    /// Predicts from several dictionaries of inputs; the results are in their order.
    public func predict(batch: [[String: Tensor]]) throws -> [[String: Tensor]] {
        try run(
            batch: batch.enumerated().map { index, inputs in
                do { return try ordered(inputs) } catch let failure as Failure { throw failure.at("Element \(index)") }
            }
        ).map(named)
    }

    /// Predicts likewise, and gives each output as the kind of feature that the interface declares, as Core ML does: a
    /// classifier's label is a string or int64, its probabilities are a dictionary by label. `predict` gives their tensors.
    public func predictFeatures(_ inputs: [String: Tensor], state: State? = nil) throws -> [String: FeatureValue] {
        try features(of: predict(inputs, state: state))
    }

    /// Outputs by name, as `predict` gives them, as the kinds of features that the interface declares.
    public func features(of outputs: [String: Tensor]) throws -> [String: FeatureValue] {
        var values: [String: FeatureValue] = [:]
        for feature in interface.outputs {
            guard let tensor = outputs[feature.name] else { continue }
            do {
                values[feature.name] = try FeatureValue(
                    tensor, as: feature.kind, labels: interface.labels(of: feature.name))
            } catch let failure as Failure {
                throw failure.at("The output '\(feature.name)'")
            }
        }
        return values
    }

    private func named(_ results: [Tensor]) -> [String: Tensor] {
        Dictionary(zip(outputs.map(\.name), results), uniquingKeysWith: { first, _ in first })
    }

    /// Inputs by name in the order of `inputs`.
    private func ordered(_ inputs: [String: Tensor]) throws -> [Tensor] {
        if let wrong = inputs.keys.filter({ name in !entries.contains { $0.name == name } }).min() {
            throw Failure(.invalidArgument, "There is no input '\(wrong)'; there are \(names).")
        }
        return try entries.map { entry in
            if let tensor = inputs[entry.name] { return tensor }
            if entry.isOptional { return try entry.defaultTensor() }
            throw Failure(.invalidArgument, "The input '\(entry.name)' is missing; there are \(names).")
        }
    }

    public func callAsFunction(_ inputs: [String: Tensor]) throws -> [String: Tensor] { try predict(inputs) }

    /// Predicts from inputs in the order of `inputs`; the results are in the order of `outputs`.
    public func run(
        _ given: [Tensor], state: State? = nil, observing observer: Observer? = nil
    ) throws -> [Tensor] {
        let arranged = try accepted(given)
        let executable = try only ?? executable(for: given.map(\.shape))
        guard let state = try needed(state) else {
            return try finished(
                executable.recorded(arranged, as: function.name, because: choice, observing: observer))
        }
        let content = try state.begin()
        var after = content
        defer { state.end(after) }
        let (inputs, kept) = try operands(arranged, content, of: executable)
        let raw = try executable.recorded(
            inputs, state: kept, as: function.name, because: choice, observing: observer)
        after = try next(content, raw, given)
        return try finished(raw)
    }

    /// The same without blocking the caller's thread.
    public func run(_ given: [Tensor], state: State? = nil) async throws -> [Tensor] {
        let arranged = try accepted(given)
        let executable = try await prepared(for: given.map(\.shape))
        guard let state = try needed(state) else {
            return try finished(await executable.recordedAsync(arranged, as: function.name, because: choice))
        }
        let content = try state.begin()
        var after = content
        defer { state.end(after) }
        let (inputs, kept) = try operands(arranged, content, of: executable)
        let raw = try await executable.recordedAsync(inputs, state: kept, as: function.name, because: choice)
        after = try next(content, raw, given)
        return try finished(raw)
    }

    /// Predicts from several lists of inputs in the order of `inputs`; those of one shape go to the device together.
    public func run(batch: [[Tensor]]) throws -> [[Tensor]] {
        _ = try needed(nil)
        let arranged = try batch.enumerated().map { index, given in
            do { return try accepted(given) } catch let failure as Failure { throw failure.at("Element \(index)") }
        }
        var results = [[Tensor]](repeating: [], count: batch.count)
        for (shapes, indices) in Dictionary(grouping: batch.indices, by: { batch[$0].map(\.shape) }) {
            let executable = try only ?? executable(for: shapes)
            let raw = try executable.recorded(
                batch: indices.map { arranged[$0] }, as: function.name, because: choice)
            guard raw.count == indices.count else {
                throw Failure(.bug, "\(deviceName) gave \(raw.count) results for a batch of \(indices.count).")
            }
            for (index, result) in zip(indices, raw) { results[index] = try finished(result) }
        }
        return results
    }

    /// Checked inputs as the program takes them, in its order; places of states are left out.
    private func accepted(_ given: [Tensor]) throws -> [Tensor] {
        guard given.count == entries.count else {
            throw Failure(
                .invalidArgument, "\(given.count) inputs are given where \(entries.count) are needed: \(names).")
        }
        for index in entries.indices { try entries[index].check(given[index]) }
        if takesInputsAsGiven { return given }
        return try zip(entries, given).sorted { $0.0.position < $1.0.position }.map { entry, tensor in
            try tensor.converted(to: entry.programType.dtype)
        }
    }

    /// Results as an app takes them; what a state holds afterwards is not among them.
    private func finished(_ raw: [Tensor]) throws -> [Tensor] {
        guard givesOutputsAsRun else { return try results.map { try $0.tensor(from: raw) } }
        return raw.count == results.count ? raw : Array(raw.prefix(results.count))
    }

    // MARK: States

    /// A place for what the model remembers: zeros, or the values given. A model without states needs none.
    public func makeState(_ values: [String: Tensor] = [:]) throws -> State {
        let kept = try only?.makeState()
        let content = try kept.map(State.Content.kept) ?? .tensors(stateEntries.map { try $0.defaultTensor() })
        let state = State(states, content)
        for (name, value) in values { try state.set(value, for: name) }
        return state
    }

    /// The state to run with: one for exactly these states where there are any, else none.
    private func needed(_ state: State?) throws -> State? {
        guard let state else {
            guard states.isEmpty else {
                throw Failure(
                    .invalidArgument,
                    "The model remembers \(stateNames) from one prediction to the next; make a state for it once and give "
                        + "it to each prediction.")
            }
            return nil
        }
        guard state.ports == states else {
            throw Failure(.invalidArgument, "The state was made for another model; this one remembers \(stateNames).")
        }
        return states.isEmpty ? nil : state
    }

    /// What a run takes besides its inputs: what the device keeps, or tensors, each in its place among the inputs.
    private func operands(
        _ arranged: [Tensor], _ content: State.Content, of executable: any Executable
    ) throws -> (inputs: [Tensor], kept: (any ExecutableState)?) {
        switch content {
        case .kept(let kept) where !executable.states.isEmpty: return (arranged, kept)
        case .tensors(let held) where executable.states.isEmpty:
            var inputs = arranged
            for (entry, tensor) in zip(stateEntries, held).sorted(by: { $0.0.position < $1.0.position }) {
                inputs.insert(tensor, at: entry.position)
            }
            return (inputs, nil)
        default: throw Failure(.invalidArgument, "The state was made by another model than this one.")
        }
    }

    /// What a state holds after a run. What lies in the memory of an input is copied: that is the caller's.
    private func next(_ content: State.Content, _ raw: [Tensor], _ given: [Tensor]) throws -> State.Content {
        guard case .tensors = content else { return content }
        return .tensors(
            try raw.suffix(stateEntries.count).map { tensor in
                given.contains { $0.storage === tensor.storage } ? try tensor.copied() : tensor
            })
    }

    /// The device that runs it: that of the plan, where there is only one plan.
    public var deviceName: String { only?.place.device ?? device.name }

    /// Why that device.
    public var reason: String { only.map { reason($0.place.reason) } ?? choice }

    /// The plan's own reason, which a backend gives, or the one for the whole model.
    private func reason(_ own: String) -> String { own.isEmpty ? choice : own }

    /// Whether the input of this index may be left out.
    public func isOptional(_ index: Int) -> Bool { entries[index].isOptional }

    /// What stands for an optional input that is left out: the model's default value, or zeros, in the usual shape.
    public func defaultInput(_ index: Int) throws -> Tensor { try entries[index].defaultTensor() }

    /// What runs where, and why, for the usual shapes of a model.
    public var plan: Plan { get throws { try plan(for: usualShapes) } }

    /// What runs where, and why, for inputs of these shapes.
    public func plan(for shapes: [[Int]]) throws -> Plan {
        guard shapes.count == entries.count else {
            throw Failure(
                .invalidArgument, "\(shapes.count) shapes are given where \(entries.count) are needed: \(names).")
        }
        for (entry, shape) in zip(entries, shapes) { try entry.check(shape) }
        var plan = try (only ?? executable(for: shapes)).plan
        plan.reason = reason(plan.reason)
        return plan
    }

    private func executable(for shapes: [[Int]]) throws -> any Executable {
        try cache.executable(for: shapes) {
            let all = entries + stateEntries
            return try compile(runnable, for: all.types(shapes + stateEntries.map(\.usual)), on: device, evaluate)
        }
    }

    private func prepared(for shapes: [[Int]]) async throws -> any Executable {
        if let only { return only }
        return try await Workers.shared.run { try self.executable(for: shapes) }
    }

    private var names: String { Predictor.names(entries) }
    private var stateNames: String { Predictor.names(stateEntries) }

    private static func names(_ entries: [InputFeature]) -> String {
        entries.isEmpty ? "none" : entries.map { "'\($0.name)'" }.joined(separator: ", ")
    }
}

extension Backend {
    /// The device for a model's function, and why. Where none takes the function as it stands, the first one there is: its
    /// compiler may still get along with what is left after folding, or names all that it lacks.
    fileprivate func place(of function: Function, after refusals: [Refusal]) throws -> Place {
        do {
            return try device(for: function, after: refusals)
        } catch let failure as Failure where failure.kind == .unsupported {
            guard refusals.isEmpty, config.mayFallBack, let first = DeviceManager.availableDevices.first else {
                throw failure
            }
            return (first, failure.message)
        }
    }
}

/// The device with at most so many threads for each run; 0 leaves it as it is.
private func limited(_ device: any Device, _ threads: Int) -> any Device {
    threads > 0 ? device.limited(toThreads: threads) : device
}

private typealias Place = (device: any Device, reason: String)

/// What the first device makes that does not fail, along the chain that `choose` goes; the place says which failed before.
private func first<Made>(
    _ choose: ([Refusal]) throws -> Place, _ make: (any Device) throws -> Made
) throws -> (Place, Made) {
    var (refusals, first): ([Refusal], Failure?) = ([], nil)
    while true {
        let place: Place
        do { place = try choose(refusals) } catch { throw refusals.count > 1 ? error : first ?? error }
        do {
            return ((place.device, ([place.reason] + told(refusals)).joined(separator: "; ")), try make(place.device))
        } catch let failure as Failure where failure.isOfDevice {
            first = first ?? failure
            refusals.append(Refusal(device: place.device.name, reason: failure.message))
        }
    }
}

/// Refusals in words, those with one reason together.
private func told(_ refusals: [Refusal]) -> [String] {
    var devices: [String: [String]] = [:]
    for refusal in refusals { devices[refusal.reason, default: []].append(refusal.device) }
    return devices.sorted { $0.value[0] < $1.value[0] }.map { "\($1.joined(separator: ", ")) failed: \($0)" }
}

/// What a device that runs model files itself makes of one, or whether it refused. The function is then compiled like any
/// other.
private func open(
    _ source: ModelSource?, _ function: Function, _ interface: Interface, on device: any Device
) throws -> (opened: (any Executable)?, isRefused: Bool) {
    guard let source else { return (nil, false) }
    do {
        let opened = try device.open(source, function, interface, keeping: .standard)
        // States that it does not keep itself would be lost.
        return (opened?.states.isEmpty == function.states.isEmpty ? opened : nil, false)
    } catch let failure as Failure where failure.kind == .unsupported {
        Log.write(.warning, "'\(source.path)' is not run as the file has it: \(failure.message)")
        return (nil, true)
    }
}

/// Compiles a function for inputs of exactly these types, given in the function's order.
private func compile(
    _ function: Function, for types: [TensorType], on device: any Device, _ evaluate: (Call) throws -> [Tensor]?
) throws -> any Executable {
    try device.compile(ready(function, for: types, evaluate), keeping: .standard)
}

/// The function with every shape known, for inputs of exactly these types.
func ready(
    _ function: Function, for types: [TensorType], _ evaluate: (Call) throws -> [Tensor]?
) throws -> Function {
    let isReady =
        zip(function.inputs, types).allSatisfy { [.tensor($1), .state($1)].contains(function[$0].type) }
        && function.values.allSatisfy { $0.type.tensor?.isFixed ?? true }
    return try isReady ? function : specialize(function, inputs: types, evaluate: evaluate)
}
