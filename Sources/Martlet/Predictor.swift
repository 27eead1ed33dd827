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

    /// Why the device was taken.
    private let choice: String
    private let entries: [InputFeature]
    private let results: [OutputFeature]
    /// Inputs and outputs need no conversion and stand in the program's order.
    private let takesInputsAsGiven: Bool
    private let givesOutputsAsRun: Bool
    private let only: (any Executable)?
    private let cache = ShapeCache()
    private let evaluate: @Sendable (Call) throws -> [Tensor]?

    /// Loads an `.mlpackage`. Without a device name the rule of `Backend.shared` chooses, as for eager calls; without a
    /// function name it is the model's default one.
    public convenience init(contentsOf path: String, device name: String? = nil, function: String? = nil) throws {
        try self.init(Model(contentsOf: path), device: name, function: function)
    }

    /// Makes a model ready likewise.
    public convenience init(_ model: Model, device name: String? = nil, function: String? = nil) throws {
        if let name {
            try self.init(model, device: Martlet.device(named: name), function: function)
        } else {
            try self.init(model, choosing: .shared, function: function)
        }
    }

    public convenience init(_ model: Model, device: any Device, function: String? = nil) throws {
        try self.init(model, device: device, function: function, evaluate: evaluateOnCPU)
    }

    /// Makes a model ready for the device that the rule of a backend chooses, judged by the usual shapes of the inputs.
    public convenience init(_ model: Model, choosing backend: Backend, function: String? = nil) throws {
        try self.init(model, function: function, evaluate: evaluateOnCPU) { try backend.place(of: $0()) }
    }

    convenience init(
        _ model: Model, device: any Device, function: String?,
        evaluate: @escaping @Sendable (Call) throws -> [Tensor]?
    ) throws {
        try self.init(model, function: function, evaluate: evaluate) { _ in (device, "named by the caller") }
    }

    /// `choose` is given the function for the usual shapes.
    private init(
        _ model: Model, function name: String?, evaluate: @escaping @Sendable (Call) throws -> [Tensor]?,
        choosing choose: (() -> Function) throws -> (device: any Device, reason: String)
    ) throws {
        let function = try model.program.function(name)
        let interface = try model.interface(function.name)
        let entries = try InputFeature.all(of: interface, in: function)
        let results = try OutputFeature.all(of: interface, in: function)
        let (device, reason) = try choose {
            (try? ready(function, for: entries.types(entries.map(\.usual)), evaluate)) ?? function
        }
        let fixed = entries.compactMap(\.shapes.fixed)
        var only: (any Executable)?
        if fixed.count == entries.count {
            only = try compile(function, for: entries.types(fixed), on: device, evaluate)
        }
        self.device = device
        choice = reason
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
            arranged, as: function.name, because: choice, observing: observer)
        return givesOutputsAsRun ? raw : try results.map { try $0.tensor(from: raw) }
    }

    /// The device that runs it: that of the plan, where there is only one plan.
    public var deviceName: String { only?.plan.device ?? device.name }

    /// Why that device.
    public var reason: String { only.map { reason(of: $0.plan) } ?? choice }

    /// The plan's own reason, which a backend gives, or the one for the whole model.
    private func reason(of plan: Plan) -> String { plan.reason.isEmpty ? choice : plan.reason }

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
        plan.reason = reason(of: plan)
        return plan
    }

    private func executable(for shapes: [[Int]]) throws -> any Executable {
        try cache.executable(for: shapes) { try compile(function, for: entries.types(shapes), on: device, evaluate) }
    }

    private var names: String { entries.isEmpty ? "none" : entries.map { "'\($0.name)'" }.joined(separator: ", ") }
}

extension Backend {
    /// The device for a model's function, and why. Where none takes the function as it stands, the first one there is: its
    /// compiler may still get along with what is left after folding, or names all that it lacks.
    fileprivate func place(of function: Function) throws -> (device: any Device, reason: String) {
        do { return try device(for: function) } catch let failure as Failure where failure.kind == .unsupported {
            guard config.mayFallBack, let first = DeviceManager.availableDevices.first else { throw failure }
            return (first, failure.message)
        }
    }
}

/// Compiles a function for inputs of exactly these types, given in the function's order.
private func compile(
    _ function: Function, for types: [TensorType], on device: any Device, _ evaluate: (Call) throws -> [Tensor]?
) throws -> any Executable {
    try device.compile(ready(function, for: types, evaluate))
}

/// The function with every shape known, for inputs of exactly these types.
func ready(
    _ function: Function, for types: [TensorType], _ evaluate: (Call) throws -> [Tensor]?
) throws -> Function {
    let isReady =
        zip(function.inputs, types).allSatisfy { function[$0].type == .tensor($1) }
        && function.values.allSatisfy { $0.type.tensor?.isFixed ?? true }
    return try isReady ? function : specialize(function, inputs: types, evaluate: evaluate)
}
