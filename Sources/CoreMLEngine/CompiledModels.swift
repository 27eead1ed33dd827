#if canImport(CoreML)
    import CoreML
    import MIL
    import Runtime

    /// Compiles model files into entries of the cache on disk, and loads them from there. What is compiled once serves every
    /// process, until the system is another one.
    struct CompiledModels {
        let units: MLComputeUnits
        let disk: DiskCache?

        /// The model that `package` writes or has, where it is not compiled yet. An entry that cannot be loaded is removed
        /// and made once more. Whatever fails is the device's failure, so that another device may be asked.
        func load(
            _ digest: String, function: String? = nil, _ package: (_ folder: String) throws -> String
        ) throws -> LoadedModel {
            let key = key(digest, function)
            do {
                return try load(key, function, package)
            } catch let failure as LoadFailure {
                Log.write(.warning, "A compiled model does not load and is compiled again: \(failure.reason)")
            }
            do { return try load(key, function, package) } catch let failure as LoadFailure {
                throw Failure(.unsupported, "Core ML: \(failure.reason)")
            }
        }

        private static var keepsPackages: Bool { ProcessInfo.processInfo.environment["MARTLET_KEEP_PACKAGES"] == "1" }

        private struct LoadFailure: Error { let reason: String }

        /// Everything that decides what the compiler makes.
        private func key(_ digest: String, _ function: String?) -> String {
            let parts = [digest, OperatingSystem.build, "\(units.rawValue)", function ?? ""]
            return "coreml-" + SHA256.hexadecimal(of: parts.joined(separator: " "))
        }

        private func load(_ key: String, _ function: String?, _ package: (String) throws -> String) throws
            -> LoadedModel
        {
            let entry = try entry(key, package)
            let configuration = MLModelConfiguration()
            (configuration.computeUnits, configuration.functionName) = (units, function)
            do { return try LoadedModel(entry, configuration) } catch {
                disk?.remove(key)
                throw LoadFailure(reason: error.localizedDescription)
            }
        }

        private func entry(_ key: String, _ package: (String) throws -> String) throws -> DiskCache.Entry {
            func make(_ folder: String) throws {
                do {
                    let path = try package(folder)
                    try CompiledModels.compile(path, into: folder)
                    // The package was written for the compiler alone and is removed, unless packages are to be kept.
                    guard path.hasPrefix(folder), !CompiledModels.keepsPackages else { return }
                    try FileManager.default.removeItem(atPath: path)
                } catch {
                    throw Failure(
                        .unsupported, "Core ML: \((error as? Failure)?.message ?? error.localizedDescription)")
                }
            }
            do { return try disk?.entry(for: key, make: make) ?? DiskCache.temporary(make) } catch let failure
                as Failure
            {
                // No folder can be made: that is no fault of the caller's either.
                throw Failure(.unsupported, failure.message)
            }
        }

        /// Core ML writes the compiled model to a place of its own, and a few lines to the standard output.
        private static func compile(_ package: String, into folder: String) throws {
            let compiled = try awaited {
                MLModel.compileModel(at: URL(fileURLWithPath: package), completionHandler: $0)
            }
            do {
                try FileManager.default.moveItem(at: compiled, to: LoadedModel.url(in: folder))
            } catch {
                try? FileManager.default.removeItem(at: compiled)
                throw error
            }
        }
    }

    /// A model that Core ML has loaded. The synchronous calls of one model go one after the other, as Apple asks.
    final class LoadedModel: @unchecked Sendable {
        /// For the asynchronous calls, which threads may make at the same time.
        let model: MLModel
        let configuration: MLModelConfiguration
        /// Holds the files.
        private let entry: DiskCache.Entry
        private let lock = NSLock()

        init(_ entry: DiskCache.Entry, _ configuration: MLModelConfiguration) throws {
            (self.entry, self.configuration) = (entry, configuration)
            model = try autoreleasepool {
                try MLModel(contentsOf: LoadedModel.url(in: entry.path), configuration: configuration)
            }
        }

        var url: URL { LoadedModel.url(in: entry.path) }

        static func url(in folder: String) -> URL { URL(fileURLWithPath: folder + "/model.mlmodelc") }

        func alone<Answer>(_ body: (MLModel) throws -> Answer) throws -> Answer {
            try lock.withLock { try body(model) }
        }
    }

    private final class Reply<Answer>: @unchecked Sendable { var result: Result<Answer, any Error>? }

    /// The answer of a call that reports to a handler. It blocks this thread, and none of those that the handler needs.
    func awaited<Answer>(
        _ start: (_ handler: @escaping @Sendable (Result<Answer, any Error>) -> Void) -> Void
    ) throws -> Answer {
        let (reply, done) = (Reply<Answer>(), DispatchSemaphore(value: 0))
        start {
            reply.result = $0
            done.signal()
        }
        done.wait()
        guard let result = reply.result else { throw Failure(.bug, "Core ML answered nothing.") }
        return try result.get()
    }

    enum OperatingSystem {
        /// What changes with each update of the system.
        static let build: String = {
            #if canImport(Darwin)
                var bytes = [UInt8](repeating: 0, count: 64)
                var size = bytes.count
                if sysctlbyname("kern.osversion", &bytes, &size, nil, 0) == 0 {
                    return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
            #endif
            return ProcessInfo.processInfo.operatingSystemVersionString
        }()
    }

    extension SHA256 {
        static func hexadecimal(of text: String) -> String {
            var hash = SHA256()
            Array(text.utf8).withUnsafeBytes { hash.update($0) }
            return hexadecimal(hash.finished())
        }
    }
#endif
