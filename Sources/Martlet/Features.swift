// Inputs and outputs seen from both sides: as an app gives and takes them, and as the program has them.

/// An input: what an app gives, and where it goes in the program.
struct InputFeature: Sendable {
    let name: String
    /// What the app gives.
    let dtype: DataType
    let shapes: Shapes
    /// The shape that stands for all others.
    let usual: [Int]
    let isOptional: Bool
    let isState: Bool
    let defaultValue: Double
    /// Where it goes among the function's inputs, and as what.
    let position: Int
    let programType: TensorType

    /// The inputs of an interface and after them its states, each with its place in the function.
    static func all(of interface: Interface, in function: Function) throws -> [InputFeature] {
        let entries = try (interface.inputs + interface.states).map { try InputFeature($0, in: function) }
        for (index, id) in function.inputs.enumerated() where !entries.contains(where: { $0.position == index }) {
            throw Failure(
                .malformed,
                "The function '\(function.name)' needs '\(function[id].name)', which the model does not take.")
        }
        guard entries.count == function.inputs.count else {
            throw Failure(.malformed, "The model takes one of its inputs twice.")
        }
        return entries
    }

    init(_ feature: Feature, in function: Function) throws {
        guard let position = function.inputs.firstIndex(where: { function[$0].name == feature.name }) else {
            throw Failure(
                .malformed, "The function '\(function.name)' has no input '\(feature.name)', which the model takes.")
        }
        isState = if case .state = feature.kind { true } else { false }
        let type = try function.type(ofInput: function.inputs[position], isState: isState)
        let shapes = try Shapes(of: feature, as: type)
        let common = shapes.common
        for (ours, program) in zip(common, type.shape) where ours >= 0 && program >= 0 && ours != program {
            throw Failure(
                .malformed, "'\(feature.name)' has shape \(shapes) for the app and \(type.shape) in the program.")
        }
        name = feature.name
        self.shapes = shapes
        isOptional = feature.isOptional
        self.position = position
        programType = type
        if case .multiArray(let array) = feature.kind {
            dtype = array.dtype
            defaultValue = array.defaultValue ?? 0
            usual = shapes.contains(array.shape) ? array.shape : shapes.smallest
        } else {
            // What a state holds is of the program's type, whatever the interface calls it.
            dtype = type.dtype
            defaultValue = 0
            usual = shapes.smallest
        }
    }

    private var title: String { "The \(isState ? "state" : "input") '\(name)'" }

    func check(_ tensor: Tensor) throws {
        guard tensor.dtype == dtype else {
            throw Failure(.wrongType, "\(title) is \(tensor.dtype.name); it must be \(dtype.name).")
        }
        try check(tensor.shape)
    }

    func check(_ shape: [Int]) throws {
        guard shapes.contains(shape) else {
            let rank = shapes.common.count
            throw Failure(
                .invalidArgument,
                shape.count == rank
                    ? "\(title) has shape \(shape); it must be \(shapes)."
                    : "\(title) has \(shape.count) dimensions, \(shape); it must have \(rank), \(shapes).")
        }
    }

    func defaultTensor() throws -> Tensor {
        let bytes = try TensorType(dtype, usual).checkedByteCount()
        if defaultValue == 0 {
            let zeros = try Tensor(uninitialized: TensorType(dtype, usual))
            zeros.pointer.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
            return zeros
        }
        let count = bytes / max(dtype.size, 1)
        return Tensor([Double](repeating: defaultValue, count: count), dtype: dtype, shape: usual)
    }
}

extension Function {
    /// The type of what goes in: a tensor's, or that of what a state holds.
    fileprivate func type(ofInput id: ValueID, isState: Bool) throws -> TensorType {
        guard isState else { return try tensorType(id) }
        guard case .state(let type) = self[id].type, type.isFixed else {
            throw Failure(
                .malformed, "'\(self[id].name)' is a state for the app and a \(self[id].type) in the program.")
        }
        return type
    }
}

extension [InputFeature] {
    /// The types of the function's inputs, in its order, for these shapes in the order of the entries.
    func types(_ shapes: [[Int]]) -> [TensorType] {
        zip(self, shapes).sorted { $0.0.position < $1.0.position }.map { TensorType($0.programType.dtype, $1) }
    }
}

/// An output: what an app takes, and where it comes from in the program.
struct OutputFeature: Sendable {
    let name: String
    /// What the app takes.
    let dtype: DataType
    /// For a label, the names to choose from by the largest element.
    let labels: Interface.Labels?
    /// Where it comes from among the function's outputs, and as what.
    let position: Int
    let programType: TensorType

    static func all(of interface: Interface, in function: Function) throws -> [OutputFeature] {
        try interface.outputs.map { try OutputFeature($0, interface.classifier, in: function) }
    }

    init(_ feature: Feature, _ classifier: Interface.Classifier?, in function: Function) throws {
        name = feature.name
        var source = feature.name
        var labels: Interface.Labels?
        if let classifier, feature.name == classifier.labelFeature || feature.name == classifier.probabilitiesFeature {
            source = classifier.scores
            if feature.name == classifier.labelFeature { labels = classifier.labels }
        }
        guard let position = function.outputs.firstIndex(where: { function[$0].name == source }) else {
            throw Failure(
                .malformed, "The function '\(function.name)' has no output '\(source)', which the model gives.")
        }
        self.position = position
        self.labels = labels
        programType = try function.tensorType(function.outputs[position])
        switch (labels, feature.kind) {
        case (.strings, _): dtype = .string
        case (.integers, _): dtype = .int64
        case (nil, .multiArray(let array)): dtype = array.dtype
        default: dtype = programType.dtype
        }
    }

    func tensor(from raw: [Tensor]) throws -> Tensor {
        let tensor = raw[position]
        guard let labels else { return try tensor.converted(to: dtype) }
        guard tensor.count == labels.count, tensor.count > 0 else {
            throw Failure(.malformed, "The model has \(labels.count) labels and \(tensor.count) scores.")
        }
        var best = 0
        for index in 1..<tensor.count where tensor.double(at: index) > tensor.double(at: best) { best = index }
        switch labels {
        case .strings(let names): return Tensor(names[best])
        case .integers(let numbers): return Tensor(Int64(numbers[best]))
        }
    }
}
