import MIL
import Passes

/// Writes one function. Every parameter stands in the file, those left out with their default: no reader has to know it.
struct FunctionWriter {
    private let function: Function
    private let interface: Interface
    private let opset: Int
    private var names: [String] = []
    private var taken = FunctionWriter.words
    private var written: Set<ValueID> = []

    init(_ function: Function, _ interface: Interface) throws {
        guard let opset = Opset.rank(function.opset) else {
            throw Failure(
                .invalidArgument,
                "There is no opset '\(function.opset)'; there are \(Opset.names.joined(separator: ", ")).")
        }
        (self.function, self.interface, self.opset) = (try Self.inCoreML(function), interface, opset)
        try assignNames()
    }

    /// The function with Core ML's ops alone.
    private static func inCoreML(_ function: Function) throws -> Function {
        func isForeign(_ op: String) -> Bool { OpTable[op].map { !$0.isCoreML } ?? false }
        var function = function
        try function.expand { operation, _ in isForeign(operation.op) }
        if let operation = function.allOperations.first(where: { isForeign($0.op) }) {
            throw Failure(
                .unsupported,
                "Core ML has no op '\(operation.op)', and none that say the same; a model file cannot hold it.")
        }
        return function
    }

    /// Inputs and outputs keep their names; others become plain identifiers, each once.
    private mutating func assignNames() throws {
        names = function.values.map(\.name)
        let border = Set(function.inputs + function.outputs)
        var features = border.map(name)
        if let classifier = interface.classifier {
            features += [classifier.labelFeature, classifier.probabilitiesFeature]
        }
        try features.sorted().forEach(Self.check)
        taken.formUnion(features)
        for index in names.indices where !border.contains(ValueID(index)) { names[index] = unused(names[index]) }
    }

    /// Words of the language. Core ML's compiler reads its text form, where no value may be called so; coremltools has the
    /// same list.
    private static let words: Set<String> = [
        "any", "bf16", "bool", "dict", "false", "fp16", "fp32", "fp64", "func", "int16", "int32", "int64", "int8",
        "list", "program", "state", "string", "tensor", "true", "tuple", "uint16", "uint32", "uint64", "uint8",
    ]

    /// A name as an identifier of the language.
    private static func plain(_ name: String) -> String {
        let scalars = name.unicodeScalars.map {
            $0.isASCII && ($0.properties.isAlphabetic || $0.properties.numericType != nil) ? $0 : "_"
        }
        let text = String(String.UnicodeScalarView(scalars))
        let startsPlainly = scalars.first.map { $0.properties.numericType == nil } ?? false
        return (startsPlainly ? text : "_" + text) + (words.contains(text) ? "_" : "")
    }

    /// Inputs and outputs are found by name, so that theirs are not changed behind the caller's back.
    private static func check(_ name: String) throws {
        guard plain(name) != name else { return }
        throw Failure(
            .invalidArgument,
            "Core ML takes no input or output called '\(name)': names are letters, digits and '_', do not begin with a digit, "
                + "and are no words of its language, such as 'list'. '\(plain(name))' would be right.")
    }

    private mutating func unused(_ name: String) -> String {
        let base = Self.plain(name)
        var (result, number) = (base, 0)
        while !taken.insert(result).inserted {
            number += 1
            result = "\(base)_\(number)"
        }
        return result
    }

    private func name(_ id: ValueID) -> String { names[Int(id.index)] }

    mutating func write(to writer: inout ProtobufWriter, _ values: inout ValueWriter) throws {
        for id in function.inputs { try writer.message(1) { try namedType(id, to: &$0) } }
        writer.string(2, function.opset)
        try writer.entry(3, function.opset) { block in
            try content(function.block, to: &block, &values, isOutermost: true)
        }
    }

    private func namedType(_ id: ValueID, to writer: inout ProtobufWriter) throws {
        writer.string(1, name(id))
        try writer.message(2) { try $0.type(function[id].type) }
    }

    /// A result of compressed weights; masks are lists of single bits there.
    private func namedMask(_ id: ValueID, to writer: inout ProtobufWriter) throws {
        guard let type = function[id].type.tensor, type.dtype == .bool, opset >= 3 else {
            return try namedType(id, to: &writer)
        }
        writer.string(1, name(id))
        try writer.message(2) { wire in
            try wire.message(1) { try $0.tensorType(type, as: NarrowType.named("uint1")) }
        }
    }

    // MARK: Blocks

    private mutating func content(
        _ block: Block, to writer: inout ProtobufWriter, _ values: inout ValueWriter, isOutermost: Bool
    ) throws {
        for operation in block.operations {
            // Constants of nested blocks stand before the outermost operation: they are seen from everywhere inside.
            if isOutermost { try constants(of: operation, to: &writer, &values) }
            try self.operation(operation, to: &writer, &values)
        }
        for id in block.outputs where isOutermost { try constant(id, to: &writer, &values) }
        guard isOutermost, let classifier = interface.classifier else {
            for id in block.outputs { writer.string(2, name(id)) }
            return
        }
        try classify(classifier, to: &writer)
        let outputs = interface.outputs.map(\.name)
        for id in block.outputs where name(id) != classifier.scores || outputs.contains(name(id)) {
            writer.string(2, name(id))
        }
        writer.string(2, classifier.labelFeature)
        writer.string(2, classifier.probabilitiesFeature)
    }

    private mutating func constants(
        of operation: Operation, to writer: inout ProtobufWriter, _ values: inout ValueWriter
    ) throws {
        guard !Self.isCompressed(operation) else { return }
        for id in operation.inputs { try constant(id, to: &writer, &values) }
        for block in operation.blocks {
            for operation in block.operations { try constants(of: operation, to: &writer, &values) }
            for id in block.outputs { try constant(id, to: &writer, &values) }
        }
    }

    private mutating func constant(_ id: ValueID, to writer: inout ProtobufWriter, _ values: inout ValueWriter) throws {
        guard let tensor = function[id].constant, written.insert(id).inserted else { return }
        try constant(tensor, name(id), to: &writer, &values)
    }

    private func constant(
        _ tensor: Tensor, _ name: String, to writer: inout ProtobufWriter, _ values: inout ValueWriter
    ) throws {
        try writer.message(3) { operation in
            operation.string(1, "const")
            try operation.message(3) { output in
                output.string(1, name)
                try output.message(2) { try $0.type(.tensor(tensor.type)) }
            }
            try operation.entry(5, "name") { try $0.text(name) }
            try operation.entry(5, "val") { try values.write(tensor, opset, to: &$0) }
        }
    }

    // MARK: Operations

    private mutating func operation(
        _ operation: Operation, to writer: inout ProtobufWriter, _ values: inout ValueWriter
    ) throws {
        let title = operation.outputs.first.map(name) ?? unused(operation.op)
        if Self.isCompressed(operation) { return try compressed(operation, title, to: &writer, &values) }
        var arguments: [(name: String, values: [String])] = []
        for argument in operation.arguments where try Upgrade.writes(argument, of: operation, in: function, opset) {
            arguments.append((argument.name, argument.values.map(name)))
        }
        for (parameter, tensor) in Upgrade.leftOut(of: operation, in: function, opset) {
            let name = unused(title + "_" + parameter)
            try constant(tensor, name, to: &writer, &values)
            arguments.append((parameter, [name]))
        }
        try writer.message(3) { message in
            message.string(1, operation.op)
            for argument in arguments {
                message.entry(2, argument.name) { bindings in
                    for name in argument.values { bindings.message(1) { $0.string(1, name) } }
                }
            }
            for id in operation.outputs { try message.message(3) { try namedType(id, to: &$0) } }
            for block in operation.blocks {
                try message.message(4) { nested in
                    for id in block.inputs { try nested.message(1) { try namedType(id, to: &$0) } }
                    try content(block, to: &nested, &values, isOutermost: false)
                }
            }
            try message.entry(5, "name") { try $0.text(title) }
        }
    }

    private static func isCompressed(_ operation: Operation) -> Bool { operation.op.hasPrefix("constexpr_") }

    /// Compressed weights hold their constants themselves: as attributes at first, as arguments since CoreML8.
    private func compressed(
        _ operation: Operation, _ title: String, to writer: inout ProtobufWriter, _ values: inout ValueWriter
    ) throws {
        let narrow = opset >= 3 ? NarrowType.ofArguments(operation, in: function) : [:]
        try writer.message(3) { message in
            message.string(1, operation.op)
            for argument in operation.arguments where opset >= 3 {
                try message.entry(2, argument.name) { bindings in
                    for id in argument.values {
                        try bindings.message(1) { binding in
                            guard let tensor = function[id].constant else { return binding.string(1, name(id)) }
                            try binding.message(2) {
                                try values.write(tensor, opset, as: narrow[argument.name], to: &$0)
                            }
                        }
                    }
                }
            }
            for id in operation.outputs { try message.message(3) { try namedMask(id, to: &$0) } }
            try message.entry(5, "name") { try $0.text(title) }
            for argument in operation.arguments where opset < 3 {
                guard let tensor = argument.values.first.flatMap({ function[$0].constant }) else { continue }
                try message.entry(5, argument.name) { try values.write(tensor, opset, to: &$0) }
            }
        }
    }

    private func classify(_ classifier: Interface.Classifier, to writer: inout ProtobufWriter) throws {
        let labels: DataType = if case .strings = classifier.labels { .string } else { .int64 }
        guard function.outputs.contains(where: { name($0) == classifier.scores }) else {
            throw Failure(.invalidArgument, "The function has no output '\(classifier.scores)' for its class labels.")
        }
        // Whatever the type of the scores, Core ML declares the dictionary with doubles.
        let label = ValueType.tensor(TensorType(labels, []))
        let score = ValueType.tensor(TensorType(.float64, []))
        try writer.message(3) { operation in
            operation.string(1, "classify")
            operation.entry(2, "probabilities") { $0.message(1) { $0.string(1, classifier.scores) } }
            try operation.entry(2, "classes") {
                try $0.message(1) { try $0.message(2) { try $0.list(classifier.labels) } }
            }
            try operation.message(3) { output in
                output.string(1, classifier.labelFeature)
                try output.message(2) { try $0.type(label) }
            }
            try operation.message(3) { output in
                output.string(1, classifier.probabilitiesFeature)
                try output.message(2) { try $0.type(.dictionary(key: label, value: score)) }
            }
            try operation.entry(5, "name") { try $0.text("classify") }
        }
    }
}
