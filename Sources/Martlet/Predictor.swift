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
    /// The shape of each input that the model names as the usual one.
    public var usualShapes: [[Int]] { entries.map(\.usual) }

    private let entries: [InputFeature]
    private let results: [OutputFeature]
    /// Inputs and outputs need no conversion and stand in the program's order.
    private let takesInputsAsGiven: Bool
    private let givesOutputsAsRun: Bool
    private let only: (any Executable)?
    private let cache = ShapeCache()
    private let evaluate: @Sendable (Call) throws -> [Tensor]?

    /// Loads an `.mlpackage`. No device name takes the best device there is, no function name the model's default one.
    public convenience init(contentsOf path: String, device name: String? = nil, function: String? = nil) throws {
        try self.init(Model(contentsOf: path), device: Martlet.device(named: name), function: function)
    }

    public convenience init(_ model: Model, device name: String? = nil, function: String? = nil) throws {
        try self.init(model, device: Martlet.device(named: name), function: function)
    }

    public convenience init(_ model: Model, device: any Device, function: String? = nil) throws {
        try self.init(model, device: device, function: function, evaluate: evaluateOnCPU)
    }

    init(
        _ model: Model, device: any Device, function name: String?,
        evaluate: @escaping @Sendable (Call) throws -> [Tensor]?
    ) throws {
        let function = try model.program.function(name)
        let interface = try model.interface(function.name)
        let entries = try InputFeature.all(of: interface, in: function)
        let results = try OutputFeature.all(of: interface, in: function)
        let fixed = entries.compactMap(\.shapes.fixed)
        var only: (any Executable)?
        if fixed.count == entries.count {
            only = try compile(function, for: entries.types(fixed), on: device, evaluate)
        }
        self.device = device
        self.function = function
        self.interface = interface
        self.metadata = model.metadata
        self.entries = entries
        self.results = results
        self.only = only
        self.evaluate = evaluate
        inputs = entries.map { Port(name: $0.name, type: TensorType($0.dtype, $0.shapes.common)) }
        outputs = results.map { result in
            let shape = only?.outputs[result.position].type.shape ?? result.programType.shape
            return Port(name: result.name, type: TensorType(result.dtype, result.labels == nil ? shape : []))
        }
        takesInputsAsGiven = entries.enumerated().allSatisfy { $1.position == $0 && $1.dtype == $1.programType.dtype }
        givesOutputsAsRun =
            results.count == function.outputs.count
            && results.enumerated().allSatisfy {
                $1.position == $0 && $1.labels == nil && $1.dtype == $1.programType.dtype
            }
    }

    /// Predicts from inputs by name; an optional input may be left out.
    public func predict(_ inputs: [String: Tensor], observing observer: Observer? = nil) throws -> [String: Tensor] {
        if let wrong = inputs.keys.filter({ name in !entries.contains { $0.name == name } }).min() {
            throw Failure(.invalidArgument, "There is no input '\(wrong)'; there are \(names).")
        }
        let ordered = try entries.map { entry in
            if let tensor = inputs[entry.name] { return tensor }
            if entry.isOptional { return try entry.defaultTensor() }
            throw Failure(.invalidArgument, "The input '\(entry.name)' is missing; there are \(names).")
        }
        return Dictionary(
            zip(outputs.map(\.name), try run(ordered, observing: observer)), uniquingKeysWith: { first, _ in first })
    }

    public func callAsFunction(_ inputs: [String: Tensor]) throws -> [String: Tensor] { try predict(inputs) }

    /// Predicts from inputs in the order of `inputs`; the results are in the order of `outputs`.
    public func run(_ given: [Tensor], observing observer: Observer? = nil) throws -> [Tensor] {
        guard given.count == entries.count else {
            throw Failure(
                .invalidArgument, "\(given.count) inputs are given where \(entries.count) are needed: \(names).")
        }
        for index in entries.indices { try entries[index].check(given[index]) }
        var arranged = given
        if !takesInputsAsGiven {
            for (entry, tensor) in zip(entries, given) {
                arranged[entry.position] = try tensor.converted(to: entry.programType.dtype)
            }
        }
        let raw = try (only ?? executable(for: given.map(\.shape))).recorded(
            arranged, as: function.name, because: "the device it was compiled for", observing: observer)
        return givesOutputsAsRun ? raw : try results.map { try $0.tensor(from: raw) }
    }

    /// The device that runs it: that of the plan, where there is only one plan.
    public var deviceName: String { only?.plan.device ?? device.name }

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
        return try (only ?? executable(for: shapes)).plan
    }

    private func executable(for shapes: [[Int]]) throws -> any Executable {
        try cache.executable(for: shapes) { try compile(function, for: entries.types(shapes), on: device, evaluate) }
    }

    private var names: String { entries.isEmpty ? "none" : entries.map { "'\($0.name)'" }.joined(separator: ", ") }
}

/// Compiles a function for inputs of exactly these types, given in the function's order.
private func compile(
    _ function: Function, for types: [TensorType], on device: any Device, _ evaluate: (Call) throws -> [Tensor]?
) throws -> any Executable {
    let isReady =
        zip(function.inputs, types).allSatisfy { function[$0].type == .tensor($1) }
        && function.values.allSatisfy { $0.type.tensor?.isFixed ?? true }
    return try device.compile(isReady ? function : specialize(function, inputs: types, evaluate: evaluate))
}
