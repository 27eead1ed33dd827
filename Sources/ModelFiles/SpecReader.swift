import MIL

/// Reads a model: a `.mlpackage` folder, or a single `.mlmodel` file that holds an ML Program.
///
/// Weights stay in their file, which is mapped: it must not be changed or cut while the model is in use.
public func readModel(at path: String, links: SymbolicLinks = .follow) throws -> Model {
    let bare = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    if FileSystem.kind(bare) == .folder, bare.hasSuffix(".mlmodelc") {
        throw Failure(
            .unsupported,
            "'\(path)' is a model compiled for Apple's Core ML; give the .mlpackage it was compiled from.")
    }
    do {
        if FileSystem.kind(bare) == .file, bare.hasSuffix(".mlmodel") {
            if links == .refuse { try FileSystem.refuseLink(bare) }
            let version = try ModelSource.version(of: [bare])
            var model = try SpecReader.model(MappedFile(bare)) { name in
                throw Failure(
                    .malformed, "It names the weight file '\(name)'; a single .mlmodel file has none beside it.")
            }
            model.source = ModelSource(model, at: bare, files: [bare], version)
            return model
        }
        let package = try ModelPackage(bare, links: links)
        var files = package.files
        var version = try ModelSource.version(of: files)
        var linked: [String] = []
        var model = try SpecReader.model(MappedFile(package.modelPath)) { name in
            let path = try package.blobPath(name)
            // Weights below a folder that is a link.
            if !files.contains(path), !linked.contains(path) { linked.append(path) }
            return path
        }
        if !linked.isEmpty {
            version += try ", " + ModelSource.version(of: linked)
            files += linked
        }
        model.source = ModelSource(model, at: bare, files: files, version)
        return model
    } catch let failure as Failure {
        throw failure.at(model: bare)
    }
}

extension ModelSource {
    fileprivate init(_ model: Model, at path: String, files: [String], _ version: String) {
        self.init(path: path, files: files, version: version, defaultFunction: model.program.defaultFunction)
    }

    fileprivate static func version(of files: [String]) throws -> String {
        try files.map(MappedFile.version).joined(separator: ", ")
    }

    /// Whether the files are still those that were read.
    public var isCurrent: Bool { (try? ModelSource.version(of: files)) == version }
}

enum SpecReader {
    static func model(_ file: MappedFile, blobPath: @escaping (String) throws -> String) throws -> Model {
        try withExtendedLifetime(file) { try model(file.bytes, blobPath: blobPath) }
    }

    /// Reads a model description from bytes that live during the call.
    static func model(_ bytes: UnsafeRawBufferPointer, blobPath: @escaping (String) throws -> String) throws -> Model {
        var reader = ProtobufReader(bytes)
        var version = 0
        var description: DescriptionReader?
        var content: (kind: Int, reader: ProtobufReader)?
        while let field = try reader.next() {
            switch field {
            case 1: version = try reader.int()
            case 2: description = try DescriptionReader(reader.message())
            case let kind where ModelKind.isKind(kind): content = (kind, try reader.message())
            default: try reader.skip()
            }
        }
        guard let content, let description else {
            throw Failure(.malformed, "The model description is empty; it must hold a description and a model.")
        }
        guard content.kind == ModelKind.mlProgram else {
            throw Failure(
                .unsupported,
                "It is a '\(ModelKind.name(content.kind))' model; this version of Martlet runs ML Programs.")
        }
        var programs = ProgramReader(blobPath: blobPath)
        var functions = try programs.functions(content.reader)
        var interfaces = try assign(description, functions)
        for index in functions.indices {
            do {
                interfaces[index].classifier = try functions[index].takeClassifier(interfaces[index])
                try Upgrade.apply(to: &functions[index])
                interfaces[index].joinRepeatedOutputs(of: &functions[index])
                try interfaces[index].check(against: functions[index])
            } catch let failure as Failure {
                throw failure.at("Function '\(functions[index].name)'")
            }
        }
        try ProgramCheck.check(functions)
        var program = Program(functions: functions, defaultFunction: functions[0].name)
        if functions.contains(where: { $0.name == "main" }) { program.defaultFunction = "main" }
        if !description.defaultFunction.isEmpty { program.defaultFunction = description.defaultFunction }
        _ = try program.function()
        return Model(
            program: program, interfaces: interfaces, metadata: description.metadata, specificationVersion: version)
    }

    /// Gives each function its interface.
    private static func assign(_ description: DescriptionReader, _ functions: [Function]) throws -> [Interface] {
        guard description.listsFunctions else {
            guard functions.count == 1 else {
                throw Failure(
                    .malformed, "The program has \(functions.count) functions and the description one interface.")
            }
            var interface = description.interfaces[0]
            interface.function = functions[0].name
            return [interface]
        }
        let byName = Dictionary(description.interfaces.map { ($0.function, $0) }) { first, _ in first }
        guard byName.count == description.interfaces.count else {
            throw Failure(.malformed, "The description lists a function twice.")
        }
        return try functions.map { function in
            guard let interface = byName[function.name] else {
                throw Failure(.malformed, "The description does not list the function '\(function.name)'.")
            }
            return interface
        }
    }
}

extension Interface {
    /// A value that a network returns twice is listed twice, under one name. It is one output.
    fileprivate mutating func joinRepeatedOutputs(of function: inout Function) {
        var (features, values) = (Set<Feature>(), Set<ValueID>())
        outputs.removeAll { !features.insert($0).inserted }
        function.block.outputs.removeAll { !values.insert($0).inserted }
    }

    /// Every feature has its value in the function, under the same name, and every input of the function a feature.
    func check(against function: Function) throws {
        let inputNames = Set(function.inputs.map { function[$0].name })
        let outputNames = Set(function.outputs.map { function[$0].name })
        let features = (inputs + states).map(\.name)
        guard Set(features).count == features.count, Set(outputs.map(\.name)).count == outputs.count else {
            throw Failure(.malformed, "The interface names an input or output twice.")
        }
        for name in features where !inputNames.contains(name) {
            throw Failure(.malformed, "The interface has an input '\(name)' that the program does not have.")
        }
        for name in inputNames.subtracting(features).sorted() {
            throw Failure(.malformed, "The program has an input '\(name)' that the interface does not have.")
        }
        let made = [classifier?.labelFeature, classifier?.probabilitiesFeature]
        for name in outputs.map(\.name) where !outputNames.contains(name) && !made.contains(name) {
            throw Failure(.malformed, "The interface has an output '\(name)' that the program does not have.")
        }
    }
}
