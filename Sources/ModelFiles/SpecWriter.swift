import MIL

/// Writes a model as a `.mlpackage`. The same model gives the same bytes. A package that stands there is replaced.
public func writeModel(_ model: Model, to path: String) throws {
    do {
        try ModelPackage.write(to: path) { modelPath, weightsPath in
            var values = try ValueWriter(weightsPath: weightsPath)
            let bytes = try SpecWriter.bytes(model, &values)
            let file = try OutputFile(modelPath)
            try file.write(bytes)
            var digest = Digest()
            digest.add(bytes)
            return (digest, try values.finish())
        }
    } catch let failure as Failure {
        throw failure.at(model: path)
    }
}

enum SpecWriter {
    /// The model description; large constants go to `values`.
    static func bytes(_ model: Model, _ values: inout ValueWriter) throws -> [UInt8] {
        let functions = model.program.functions
        guard !functions.isEmpty, Set(functions.map(\.name)).count == functions.count else {
            throw Failure(.invalidArgument, "A model must have functions, each under its own name.")
        }
        var interfaces: [Interface] = []
        for function in functions {
            guard let interface = model.interfaces.first(where: { $0.function == function.name }) else {
                throw Failure(.invalidArgument, "The function '\(function.name)' has no interface.")
            }
            try interface.check(against: function)
            interfaces.append(interface)
        }
        let opset = functions.compactMap { Opset.rank($0.opset) }.max() ?? 0
        let described = Model(program: model.program, interfaces: interfaces, metadata: model.metadata)
        var writer = ProtobufWriter()
        writer.int(1, opset + Opset.firstVersion)
        try writer.message(2) { try $0.description(described) }
        try writer.message(ModelKind.mlProgram) { program in
            program.int(1, 1)
            for (function, interface) in zip(functions, interfaces) {
                try program.entry(2, function.name) { message in
                    do {
                        var writer = try FunctionWriter(function, interface)
                        try writer.write(to: &message, &values)
                    } catch let failure as Failure {
                        throw failure.at("Function '\(function.name)'")
                    }
                }
            }
        }
        return writer.bytes
    }
}
